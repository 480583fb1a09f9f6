#!/bin/bash
# B-same-port-duplex: two peers talk at once in both directions; the connection has one port at both ends, as those of syncthing.
# flow: a thread of python reads the dump and sends 8 KiB, another receives meanwhile: what comes while the socket is locked is
#       taken in within the sender's own call (the socket's backlog).
# tools: python3
# expect: sent counted any-port critical
. "$CORPUS/lib.sh"
PORT=$((PORT + 5))
duplex "$PORT"
