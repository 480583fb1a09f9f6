#!/bin/bash
# C-exec-clears: a process reads the dump, then becomes curl and sends something else.
# flow: exec drops the memory that held the dump.
# tools: python3 curl
# expect: silent
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink http
seq 2000 >numbers.txt
python3 -c 'import os, sys
open(sys.argv[1], "rb").read(4096)
os.execvp("curl", ["curl", "-sS", "-T", "numbers.txt", sys.argv[2]])' "$D" "http://$SINK:$PORT/up"
sunk
