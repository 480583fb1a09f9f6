#!/bin/busybox sh
# The guest's first process: file systems, modules, loopback, then the scenario.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
$b mount -t tmpfs tmp /tmp
$b mount -t cgroup2 cgroup /sys/fs/cgroup
$b mount -t securityfs security /sys/kernel/security
$b mount -t bpf bpf /sys/fs/bpf
$b --install -s /bin
export PATH=/bin
for module in $(cat /lib/modules/order); do
    insmod "/lib/modules/$module" || echo "insmod $module failed"
done
mkdir -p /mnt/ext4
mount -t ext4 /dev/vda /mnt/ext4 || echo "no ext4"
ip link set lo up
sh /scenario
echo '#end'
poweroff -f
