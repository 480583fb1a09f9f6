#!/bin/bash
# B-udp-gso: as HTTP/3 sends: one call has ten datagrams, which the kernel cuts (UDP_SEGMENT).
# flow: read of 12,000 bytes, one send; ten datagrams of 1,200 bytes arrive.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink udp
python3 - "$D" "$SINK" "$PORT" <<'END' || { [ $? = 77 ] && skip "no UDP_SEGMENT"; fail "send"; }
import socket, sys, time
UDP_SEGMENT = 103
sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    sink.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1200)
except OSError:
    sys.exit(77)
sink.connect((sys.argv[2], int(sys.argv[3])))
with open(sys.argv[1], "rb") as dump:
    while part := dump.read(12000):
        assert sink.send(part) == len(part)
        time.sleep(.006)
END
sunk
