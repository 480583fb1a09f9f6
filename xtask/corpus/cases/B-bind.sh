#!/bin/bash
# B-bind: the dump is read through a bind mount of its folder.
# flow: another path to the same inode; curl reads and sends.
# tools: mount curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
mkdir other
mount --bind dumps other || skip "mount --bind is refused"
undo "umount '$W/other'"
out "other/$(basename "$D")"
