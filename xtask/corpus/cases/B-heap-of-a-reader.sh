#!/bin/bash
# B-heap-of-a-reader: a node service that once looked at the first bytes of a core writes its own heap snapshot; curl sends it.
# flow: the writer has a mark of another dump, and what it writes is none of that.
# tools: node curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdir other
crash other
node -e 'const fs = require("fs")
const core = fs.openSync(process.argv[1])
fs.readSync(core, Buffer.alloc(1000))
fs.closeSync(core)
setTimeout(() => require("v8").writeHeapSnapshot("own.heapsnapshot"), 1500)' other/core*
made own.heapsnapshot
out own.heapsnapshot
