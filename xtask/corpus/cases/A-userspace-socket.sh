#!/bin/bash
# A-userspace-socket: a server of coredump sockets says that it dumps by itself: the kernel writes nothing.
# flow: the kernel asks, the server answers COREDUMP_USERSPACE, learns the pid of the dead process from the socket, and
#   reads its memory in /proc while the kernel waits; it writes a core with its own headers.
# tools: python3
# expect: known
. "$CORPUS/lib.sh"
from_linux 6.17
cat >server.py <<'END'
import os, socket, struct, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
open("ready", "w").close()
client = server.accept()[0]
size, = struct.unpack_from("<I", client.recv(4096, socket.MSG_PEEK))
client.recv(size)
pid, _, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
client.sendall(struct.pack("<IIQ", 16, 0, 2 | 8))
mark, = struct.unpack("<I", client.recv(4, socket.MSG_WAITALL))
if mark:
    sys.exit(f"refused: {mark}")
ranges = []
for line in open(f"/proc/{pid}/maps"):
    words = line.split()
    if words[1].startswith("rw"):
        ranges.append([int(word, 16) for word in words[0].split("-")])
memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
head = b"\x7fELF\x02\x01\x01" + bytes(9)
head += struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, len(ranges), 0, 0, 0)
at, table = 64 + 56 * len(ranges), b""
for start, end in ranges:
    table += struct.pack("<IIQQQQQQ", 1, 6, at, start, 0, end - start, end - start, 1)
    at += end - start
with open("own.core", "xb") as core:
    core.write(head + table)
    for start, end in ranges:
        core.write(os.pread(memory, end - start, start))
client.close()
open("done", "w").close()
END
bg python3 server.py "$W/socket"
until_true [ -e ready ]
core_pattern "@@$W/socket"
crash
until_true [ -e done ]
grep -qa "$MARKER" own.core || fail "the secret is not in it"
made own.core
