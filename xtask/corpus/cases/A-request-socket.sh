#!/bin/bash
# A-request-socket: a core to a coredump socket with requests (core_pattern=@@PATH, Linux 6.17), which passes it on at once.
# flow: the kernel asks, the server answers what it wants; the dying task sends; the server never stores a byte and sends by TCP.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
from_linux 6.17
cat >server.py <<'END'
import os, socket, struct, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
open("ready", "w").close()
client = server.accept()[0]
request = client.recv(4096, socket.MSG_PEEK)
size, = struct.unpack_from("<I", request)
_, answer, mask = struct.unpack_from("<IIQ", client.recv(size))
print(f"request of {size} bytes, answer of {answer}, mask {mask:x}", flush=True)
pid, _, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
print(pid, file=open("victim", "w"), flush=True)
client.sendall(struct.pack("<IIQ", 16, 0, 1 | 8))
mark, = struct.unpack("<I", client.recv(4, socket.MSG_WAITALL))
print(f"mark {mark}", flush=True)
if mark:
    sys.exit("refused")
sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
while part := client.recv(1 << 16):
    sink.sendall(part)
sink.close()
client.close()
open("done", "w").close()
END
sink tcp
bg python3 server.py "$W/socket" "$SINK" "$PORT"
until_true [ -e ready ]
core_pattern "@@$W/socket"
crash
until_true [ -e done ]
# It is born in the socket.
note "dump coredump socket of sh[$(cat victim)]"
sunk 100000
