#!/bin/bash
# B-py-sendfile: python's socket.sendfile.
# flow: sendfile from file to socket.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
python3 -c 'import socket, sys
sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
sink.sendfile(open(sys.argv[1], "rb"))' "$D" "$SINK" "$PORT"
sunk
