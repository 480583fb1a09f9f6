#!/bin/bash
# B-scm-rights: a process opens the dump and passes the descriptor to another, which sends.
# flow: SCM_RIGHTS over a socket pair: the sender reads the dump but never opens it.
# tools: python3
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink tcp
python3 - "$D" "$SINK" "$PORT" <<'END'
import os, socket, sys
giver, taker = socket.socketpair()
if os.fork() == 0:
    dump = socket.recv_fds(taker, 10, 1)[1][0]
    sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
    while part := os.read(dump, 65536):
        sink.sendall(part)
    os._exit(0)
socket.send_fds(giver, [b"x"], [os.open(sys.argv[1], os.O_RDONLY)])
os.wait()
END
sunk
