#!/bin/bash
# A-node-heapsnapshot: node's v8.writeHeapSnapshot().
# flow: node writes JSON in parts of 64 KiB.
# tools: node
# expect: known
# set: fast
. "$CORPUS/lib.sh"
node -e 'globalThis.secret = process.argv[1]; require("v8").writeHeapSnapshot()' "$MARKER"
made Heap.*.heapsnapshot
