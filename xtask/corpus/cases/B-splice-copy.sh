#!/bin/bash
# B-splice-copy: splice from file to pipe to file, then curl -T of the copy.
# flow: no user memory; curl reads the copy and sends.
# tools: python3 curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
python3 - "$D" copy <<'END'
import os, sys
source, sink = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
out, into = os.pipe()
while left := os.splice(source, into, 65536):
    while left:
        left -= os.splice(out, sink, left)
END
out copy
