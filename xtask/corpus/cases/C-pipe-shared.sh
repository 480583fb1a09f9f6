#!/bin/bash
# C-pipe-shared: one pipeline of a shell reads the dump, the next one sends something else.
# flow: cat and wc end with the first; the shell itself reads nothing.
# tools: curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sink http
cat "$D" | wc -c
seq 3000 | curl -sS --data-binary @- "http://$SINK:$PORT/up"
sunk
