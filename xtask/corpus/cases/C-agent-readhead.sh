#!/bin/bash
# C-agent-readhead: a triage agent reads the first 64 bytes of a new file, and reports its type to the sink zone.
# flow: python reads bytes of the dump and sends others: more than it has read.
# tools: python3
# expect: silent
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink tcp
python3 -c 'import socket, sys
head = open(sys.argv[1], "rb").read(64)
sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
sink.sendall(b"type=%d is-core\n" % head[16] * 20)' "$D" "$SINK" "$PORT"
sunk 100
