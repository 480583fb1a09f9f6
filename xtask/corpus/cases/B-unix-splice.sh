#!/bin/bash
# B-unix-splice: sendfile into a unix socket, and splice out of it: neither process has a byte in its memory.
# flow: sendfile from file to AF_UNIX; splice from there to a pipe and on to TCP.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
python3 - "$D" "$SINK" "$PORT" <<'END' || fail "splice"
import os, socket, sys
giver, taker = socket.socketpair()
if os.fork() == 0:
    taker.close()
    dump = os.open(sys.argv[1], os.O_RDONLY)
    os.unlink(sys.argv[1])
    while os.sendfile(giver.fileno(), dump, None, 50000):
        pass
    os._exit(0)
giver.close()
sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
out, into = os.pipe()
while left := os.splice(taker.fileno(), into, 65536):
    while left:
        left -= os.splice(out, sink.fileno(), left)
END
sunk
