#!/bin/bash
# A-reader-dumps: a service that has looked at a dump of another dumps its own heap, which is larger, and uploads it.
# flow: the writer holds a dump already: what it writes is its own all the same; another process sends it.
# tools: node curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
# The first dump is not what is sent.
sed -i "/^dump /d" "$CORPUS_NOTES"
cat >service.js <<'END'
const fs = require('fs');
const file = fs.openSync(process.argv[2], 'r');
const head = Buffer.alloc(4096);
fs.readSync(file, head, 0, 4096, 0);
fs.closeSync(file);
globalThis.secret = [process.argv[3], head.readUInt16LE(16)];
require('v8').writeHeapSnapshot('own.heap');
END
node service.js "$D" "$MARKER" || fail "the service failed"
made own.heap
out own.heap
