#!/bin/bash
# B-pipe-packets: a pipe that keeps packets (O_DIRECT), between two processes.
# flow: pread and write of 4,000 bytes; each read takes one packet; the child sends it.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
python3 - "$D" "$SINK" "$PORT" <<'END' || fail "packets"
import fcntl, os, socket, sys
taker, giver = os.pipe2(os.O_DIRECT | os.O_CLOEXEC)
fcntl.fcntl(giver, fcntl.F_SETPIPE_SZ, 1 << 18)
child = os.fork()
if child == 0:
    os.close(giver)
    sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
    while packet := os.read(taker, 65536):
        assert len(packet) <= 4000
        sink.sendall(packet)
    os._exit(0)
os.close(taker)
dump, offset = os.open(sys.argv[1], os.O_RDONLY), 0
while part := os.pread(dump, 4000, offset):
    offset += os.write(giver, part)
os.close(giver)
assert os.waitpid(child, 0)[1] == 0
END
sunk
