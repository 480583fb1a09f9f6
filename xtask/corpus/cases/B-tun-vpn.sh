#!/bin/bash
# B-tun-vpn: the upload's route is a VPN in user space: a TUN device, whose packets another process sends as datagrams.
# flow: curl sends TCP to the sink's address; the kernel gives the packets to /dev/net/tun; the VPN reads them there and
#       sends UDP; its other end writes them to a TUN device of the sink zone. Answers come back by the cable.
# tools: python3 ip curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
[ -c /dev/net/tun ] || skip "no /dev/net/tun"
mkdump
cat >vpn.py <<'END'
import fcntl, os, socket, struct, sys
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
side, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
device = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"vpn-" + side.encode(), IFF_TUN | IFF_NO_PI))
wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
if side == "far":
    wire.bind((address, port))
open(f"{side}.up", "w").close()
while True:
    if side == "far":
        os.write(device, wire.recv(65536))
    else:
        wire.sendto(os.read(device, 65536), (address, port))
END
bg_there python3 vpn.py far "$SINK" $((PORT + 1))
bg python3 vpn.py near "$SINK" $((PORT + 1))
until_true [ -e far.up -a -e near.up ]
there ip link set vpn-far up || skip "no TUN devices here"
there bash -c 'echo 0 | tee /proc/sys/net/ipv4/conf/vpn-far/rp_filter' >/dev/null
ip link set vpn-near mtu 1300 up
sink http
rule="to $SINK ipproto tcp dport $PORT lookup 4711"
ip route add "$SINK" dev vpn-near src "$SOURCE" table 4711
ip rule add $rule || skip "no rules by port here"
undo "ip rule del $rule"
curl -sS -m 15 -T "$D" "http://$SINK:$PORT/up" >/dev/null || fail "curl"
through=$(ip -s link show vpn-near | awk '/TX:/ { getline; print $1 }')
[ "$through" -gt "$(stat -c %s "$D")" ] || fail "only $through bytes went through the VPN"
sunk
