#!/bin/bash
# C-stat-only: find, du, stat and ls over the folder of the dump, then another upload.
# flow: no byte of the dump is read.
# tools: find du curl
# expect: silent
# set: fast
. "$CORPUS/lib.sh"
mkdump
find dumps -name 'core*' -size +1k
du -s dumps
stat "$D" >/dev/null
ls -lR dumps >/dev/null
sink http
seq 2000 | curl -sS --data-binary @- "http://$SINK:$PORT/up"
sunk
