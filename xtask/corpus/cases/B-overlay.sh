#!/bin/bash
# B-overlay: the dump in the lower layer of an overlay, opened for writing in the merged one.
# flow: the kernel copies it up: a second inode, without a system call that moves bytes; curl reads that and sends.
# tools: mount curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
# Before it has modules no BTF, so that the layout of overlayfs is not known.
! grep -q '^overlay ' /proc/modules || from_linux 5.11
mkdir upper work merged
mount -t overlay overlay -o "lowerdir=$W/dumps,upperdir=$W/upper,workdir=$W/work" merged || skip "no overlay here"
undo "umount '$W/merged'"
copy=merged/$(basename "$D")
: >>"$copy"
chmod 640 "$copy"
out "$copy"
