#!/bin/bash
# B-node-stream: node pipes a file stream into an HTTP request.
# flow: threads of a pool read, the main thread writes: what counts is the process.
# tools: node
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink http
node -e '
const request = require("http").request({host: process.argv[2], port: process.argv[3], method: "PUT", path: "/up"});
request.on("response", response => response.resume());
require("fs").createReadStream(process.argv[1]).pipe(request);' "$D" "$SINK" "$PORT"
sunk
