#!/bin/bash
# B-fuse-sink: a dump is written to a mount, and sent from where its server puts it.
# flow: cp writes a file of the mount; bindfs reads /dev/fuse and writes another file, which curl reads and sends.
# tools: bindfs curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
bindfs_up
cp --sparse=never "$D" mount/core
out behind/core
