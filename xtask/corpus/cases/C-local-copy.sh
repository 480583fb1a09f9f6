#!/bin/bash
# C-local-copy: the dump is copied to another file system of this machine, and deleted.
# flow: read and write; nothing leaves the zone.
# tools: cp
# expect: silent
. "$CORPUS/lib.sh"
mkdump
copy=/dev/shm/$NAME.$$
undo "rm -f $copy"
cp "$D" "$copy"
rm "$copy"
