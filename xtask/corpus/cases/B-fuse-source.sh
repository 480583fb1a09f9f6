#!/bin/bash
# B-fuse-source: a dump lies where a server in user space takes its files from, and is sent from its mount.
# flow: bindfs reads the dump and writes it to /dev/fuse; curl reads a file of the mount and sends.
# tools: bindfs curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
from_linux 6.11
mkdump
bindfs_up
cp --sparse=never "$D" behind/core
out mount/core
