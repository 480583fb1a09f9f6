#!/bin/bash
# B-part-clone: a part of the dump shared by FICLONERANGE, and sent.
# flow: one ioctl and no byte: the blocks belong to both files.
# tools: mkfs.xfs gcc curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
compiled clone
truncate -s 400M disk
mkfs.xfs -q disk 2>/dev/null || skip "mkfs.xfs makes nothing here"
mkdir disk-of
mount -o loop disk disk-of 2>/dev/null || skip "no xfs here"
undo "umount -l '$W/disk-of'"
crash disk-of
D=$(ls -d "$W"/disk-of/core*)
made "$D"
./clone "$D" disk-of/part 262144 || skip "no clones here"
out disk-of/part
