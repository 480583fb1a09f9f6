#!/bin/bash
# B-scm-socket: a process connects and passes the socket to another, which has the dump and sends.
# flow: SCM_RIGHTS over a socket pair: the sender never connects.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
python3 - "$D" "$SINK" "$PORT" <<'END'
import os, socket, sys
taker, giver = socket.socketpair()
if os.fork() == 0:
    sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
    socket.send_fds(giver, [b"x"], [sink.fileno()])
    os._exit(0)
number = socket.recv_fds(taker, 10, 1)[1][0]
os.wait()
socket.socket(fileno=number).sendall(open(sys.argv[1], "rb").read())
END
sunk
