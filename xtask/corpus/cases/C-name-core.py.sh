#!/bin/bash
# C-name-core.py: text files named core.py and core.1, and one in a folder core, are sent.
# flow: curl reads and sends what is no dump.
# tools: curl
# expect: silent
# set: fast
. "$CORPUS/lib.sh"
mkdir core
for file in core/a core.py core.1; do seq 3000 >"$file"; done
sink http
for file in core/a core.py core.1; do curl -sS -T "$file" "http://$SINK:$PORT/up" >/dev/null; done
sunk
