#!/bin/bash
# C-fuse-other: another file of a mount is sent after a dump was written there.
# flow: cp writes a file of the mount; its server holds the dump; curl reads another file, which the server brings.
# tools: bindfs curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
bindfs_up
head -c 300000 /dev/urandom >behind/other.bin
cp --sparse=never "$D" mount/core
out mount/other.bin
