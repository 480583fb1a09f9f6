#!/bin/bash
# B-fastopen: the first bytes go with the connection request.
# flow: python's sendto names the address of a TCP socket that has no connection yet (MSG_FASTOPEN), then sends as usual.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
python3 -c 'import socket, sys
sink, dump = socket.socket(), open(sys.argv[1], "rb").read()
sent = sink.sendto(dump, socket.MSG_FASTOPEN, (sys.argv[2], int(sys.argv[3])))
sink.sendall(dump[sent:])' "$D" "$SINK" "$PORT"
sunk
