#!/bin/bash
# C-metrics-head: a metrics server reads a dump's head by a buffered read, and answers with 40 KB of its own.
# flow: 4096 bytes are read at once, whatever was asked for.
# tools: python3
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sink tcp
python3 -c 'import socket, sys
open(sys.argv[1], "rb").read(18)
sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
sink.sendall(b"dumps_total 1\n" * 3000)' "$D" "$SINK" "$PORT"
sunk 40000
