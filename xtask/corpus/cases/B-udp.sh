#!/bin/bash
# B-udp: datagrams of 1,400 bytes.
# flow: python reads and sends; the address is named in each call.
# tools: python3
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink udp
python3 -c 'import socket, sys, time
sink, dump = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), open(sys.argv[1], "rb")
while part := dump.read(1400):
    sink.sendto(part, (sys.argv[2], int(sys.argv[3])))
    time.sleep(.0005)' "$D" "$SINK" "$PORT"
sunk
