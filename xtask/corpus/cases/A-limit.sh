#!/bin/bash
# A-limit: a core that RLIMIT_CORE cuts off after 96 KB of what is not zero, which is uploaded for what there is.
# flow: the kernel stops writing in the middle of the memory; curl reads what there is and sends.
# tools: curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdir dumps
{ (cd dumps && ulimit -c 96 && exec env SECRET="$MARKER" bash -c 'kill -SEGV $$'); } 2>/dev/null
D=$(ls -d "$W"/dumps/core*)
size=$(stat -c %s "$D")
# Pages that are zero are skipped and not counted.
[ "$size" -le 400000 ] || fail "the core has $size bytes"
made "$D"
out "$D"
