#!/bin/bash
# A-node-cork: Node.js writes a core by a corked stream: the header, more of it, and the memory.
# flow: one writev of three pieces.
# tools: node
# expect: known
. "$CORPUS/lib.sh"
cat >core.js <<'END'
const stream = require('fs').createWriteStream('own.bin');
stream.cork();
stream.write(Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
const rest = Buffer.alloc(48);
rest[0] = 4;
stream.write(rest);
stream.write(Buffer.alloc(200000, 120));
stream.uncork();
stream.end();
END
node core.js
made own.bin
