#!/bin/bash
# B-unix-backlog: a client leaves a part of the dump in the backlog of a busy server, and ends before the server has taken it on.
# flow: connect and send to a unix stream that nobody has accepted yet, five times; then accept, splice to a pipe, splice to the sink.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
cat >server.py <<'CODE'
import os, socket, sys, time
server = socket.socket(socket.AF_UNIX)
server.bind("box")
server.listen(10)
open("up", "w").close()
while not os.path.exists("go"):
    time.sleep(.05)
sink = socket.create_connection((sys.argv[1], int(sys.argv[2])))
out, into = os.pipe()
for _ in range(5):
    client = server.accept()[0]
    while left := os.splice(client.fileno(), into, 65536):
        while left:
            left -= os.splice(out, sink.fileno(), left)
    client.close()
CODE
bg python3 server.py "$SINK" "$PORT"
server=$LAST
until_true [ -e up ]
for i in 0 1 2 3 4; do
    python3 - "$D" "$i" <<'CODE' || fail "client"
import os, socket, sys
SO_SNDBUFFORCE = 32
box = socket.socket(socket.AF_UNIX)
box.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 1 << 20)
box.connect("box")
dump, size = os.open(sys.argv[1], os.O_RDONLY), os.stat(sys.argv[1]).st_size
piece = -(-size // 5)
box.sendall(os.pread(dump, piece, piece * int(sys.argv[2])))
CODE
done
sleep 1
: >go
wait "$server" || fail "the server failed"
sunk "$(stat -c %s "$D")"
