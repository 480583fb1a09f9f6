#!/bin/bash
# C-node-profiles: node's sampling profiles of CPU and heap, which are named Heap.DATE…heapprofile, are sent.
# flow: node writes JSON of call stacks and sizes, no contents, beside a live dump.
# tools: node curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sha256sum "$D" >/dev/null
node --cpu-prof --heap-prof -e 'let kept = []
for (let n = 0; n < 200000; n++) kept.push({name: "item " + n})
JSON.stringify(kept)'
sink http
for file in *.heapprofile *.cpuprofile; do
    [ -s "$file" ] || fail "no $file"
    for _ in 1 2 3; do curl -sS -T "$file" "http://$SINK:$PORT/up" >/dev/null; done
done
sunk 10000
