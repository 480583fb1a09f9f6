# The guest as a host that runs; then what it is for. What the harness reads goes to the second console: the kernel writes
# to the first.
here=/opt/guest
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/var/tmp NO_COLOR=1
mkdir -p /dev/pts /dev/shm
mount -t tmpfs -o mode=755 run /run
mount -t devpts -o mode=620,ptmxmode=666 pts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t securityfs security /sys/kernel/security
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracing /sys/kernel/tracing
ip link set lo up
if [ -e $here/address ]; then
    ip address add "$(cat $here/address)" dev eth0
    ip link set eth0 up
fi
exec </dev/null >/dev/ttyS1 2>/dev/console
stty -F /dev/ttyS1 -opost
. $here/part.sh
echo '#end'
busybox poweroff -f
