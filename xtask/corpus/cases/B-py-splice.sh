#!/bin/bash
# B-py-splice: python splices from file to pipe to socket.
# flow: no user memory.
# tools: python3
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink tcp
python3 - "$D" "$SINK" "$PORT" <<'END'
import os, socket, sys
sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
dump = os.open(sys.argv[1], os.O_RDONLY)
out, into = os.pipe()
while left := os.splice(dump, into, 65536):
    while left:
        left -= os.splice(out, sink.fileno(), left)
END
sunk
