#!/bin/bash
# C-qemu-backup: QEMU copies a guest's disk to a new file, as backups of virtual machines do, and that is sent.
# flow: QEMU writes megabytes to a file that it does not read, as it does memory; what it writes is a disk, read from a file.
# tools: qemu-system-x86_64 mkfs.ext4 python3 curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
truncate -s 8M disk.raw
mkfs.ext4 -q -F disk.raw
head -c 2000000 /dev/urandom | dd of=disk.raw bs=1M seek=4 conv=notrunc status=none
bg qemu-system-x86_64 -M q35 -m 64 -display none -serial none -monitor "unix:$W/monitor,server,nowait" \
    -drive "file=$W/disk.raw,format=raw,if=none,id=disk" -device virtio-blk-pci,drive=disk
until_true [ -S monitor ]
sleep 1
monitor "drive_backup -f disk $W/backup.raw raw"
settled backup.raw
cmp disk.raw backup.raw || fail "no backup"
out backup.raw
