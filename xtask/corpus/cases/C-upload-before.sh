#!/bin/bash
# C-upload-before: a large upload by a pipeline is under way when a program crashes and others look at its core.
# flow: tar, gzip and curl wait in reads and writes of pipes while the first dump is born; none has anything of it.
# tools: tar gzip curl
# expect: silent
. "$CORPUS/lib.sh"
head -c 2000000 /dev/urandom >data
sink http
bg bash -c "tar c data | gzip -1 | curl -sS --limit-rate 500k -T - http://$SINK:$PORT/up >/dev/null"
upload=$LAST
sleep 1
mkdump
cat "$D" | sha256sum >sums
gzip -c "$D" >look.gz
cat "$D" | gzip -1 | cat >/dev/null
kill -0 "$upload" 2>/dev/null || fail "the upload was too fast"
wait "$upload"
sunk 2000000
