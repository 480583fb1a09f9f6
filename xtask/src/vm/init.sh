#!/bin/busybox sh
# The guest's first process: modules, then the root file system, and what goes on there.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
for module in $($b cat /lib/modules/order); do
    $b insmod "/lib/modules/$module" || echo "insmod $module failed"
done
$b mount -t ext4 -o noinit_itable /dev/vda /mnt && $b mount -t ext4 -o ro /dev/vdb /mnt/opt/guest || $b poweroff -f
for folder in proc sys dev; do
    $b mount --move /$folder /mnt/$folder
done
exec $b switch_root /mnt /bin/sh /opt/guest/guest.sh
