#!/bin/bash
# C-prefork: a prefork server: one worker takes a core's checksum and tells its parent by a pipe; a worker forked later sends an export.
# flow: 64 bytes made from the dump are in the parent, and by fork in the next worker, which sends 400 KB.
# tools: python3
# expect: silent
. "$CORPUS/lib.sh"
mkdump
seq 70000 >export
sink tcp
python3 - "$D" export "$SINK" "$PORT" <<'END'
import hashlib, os, socket, sys


def worker(job):
    near, far = os.pipe()
    if os.fork() == 0:
        os.close(near)
        os.write(far, job())
        os._exit(0)
    os.close(far)
    answer = os.read(near, 1000)
    os.close(near)
    os.wait()
    return answer


def checksum():
    return hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest().encode()


def export():
    with socket.create_connection((sys.argv[3], int(sys.argv[4]))) as sink, open(sys.argv[2], "rb") as file:
        while part := file.read(32768):
            sink.sendall(part)
    return b"done"


for _ in range(3):
    assert len(worker(checksum)) == 64
assert worker(export) == b"done"
END
sunk 300000
