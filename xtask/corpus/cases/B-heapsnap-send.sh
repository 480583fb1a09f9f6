#!/bin/bash
# B-heapsnap-send: a heap snapshot of node, sent by curl.
# flow: node writes JSON; curl reads and sends it.
# tools: node curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
node -e 'globalThis.secret = process.argv[1]; require("v8").writeHeapSnapshot("h.heapsnapshot")' "$MARKER"
made h.heapsnapshot
out h.heapsnapshot
