#!/bin/bash
# B-other-port-duplex: two peers talk at once in both directions.
# flow: a thread of python reads the dump and sends 8 KiB, another receives meanwhile: what comes while the socket is locked is
#       taken in within the sender's own call (the socket's backlog).
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
duplex 0
