#!/bin/bash
# B-fuse-direct: as B-fuse-source, but what is read goes around the page cache.
# flow: bindfs reads the dump and writes it to /dev/fuse, from where it comes into curl's memory; curl sends.
# tools: bindfs curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
from_linux 6.11
mkdump
bindfs_up -o direct_io
cp --sparse=never "$D" behind/core
out mount/core
