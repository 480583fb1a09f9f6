#!/bin/bash
# B-fuse-sendfile: sendfile(2) from a dump to a file of a mount, which is sent from where its server puts it.
# flow: python moves file to file; bindfs reads /dev/fuse and writes another file, which curl reads and sends.
# tools: bindfs curl python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
bindfs_up
python3 -c 'import os, sys
source, sink = open(sys.argv[1], "rb"), open("mount/core", "wb")
while os.sendfile(sink.fileno(), source.fileno(), None, 1 << 20): pass' "$D"
out behind/core
