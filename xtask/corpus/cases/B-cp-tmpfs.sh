#!/bin/bash
# B-cp-tmpfs: cp to another file system, then curl -T of the copy.
# flow: read and write of 128 KiB, since copy_file_range does not go across; curl reads the copy and sends.
# tools: curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
copy=/dev/shm/$NAME.$$
undo "rm -f $copy"
cp "$D" "$copy"
out "$copy"
