#!/bin/bash
# B-mptcp: by multipath TCP.
# flow: python reads the dump and sends it by a socket of the protocol MPTCP, which has a TCP socket of its own.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
python3 -c 'import socket, sys
try: sink = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
except OSError: sys.exit(77)
sink.connect((sys.argv[2], int(sys.argv[3])))
sink.sendall(open(sys.argv[1], "rb").read())' "$D" "$SINK" "$PORT" || { [ $? = 77 ] && skip "no multipath TCP"; exit 1; }
sunk
