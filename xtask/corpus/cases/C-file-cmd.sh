#!/bin/bash
# C-file-cmd: file, cmp and wc of the dump, then another upload.
# flow: three processes read the dump and end; curl sends numbers.
# tools: file cmp wc curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
file "$D" | head -c 100
wc -c <"$D"
cmp "$D" "$D"
sink http
seq 2000 | curl -sS --data-binary @- "http://$SINK:$PORT/up"
sunk
