#!/bin/bash
# C-same-tuple: a core goes to a store by loopback; later other data comes by the same addresses and ports to a gateway, which sends it.
# flow: two connections with one pair of addresses, one after the other, between other processes; the second one's bytes leave.
# tools: python3
# expect: silent
. "$CORPUS/lib.sh"
mkdump
seq 60000 >export
cat >client.py <<'END'
import socket, struct, sys
client = socket.socket()
client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
client.bind(("127.0.0.1", int(sys.argv[2])))
client.connect(("127.0.0.1", int(sys.argv[1])))
client.sendall(open(sys.argv[3], "rb").read())
client.shutdown(socket.SHUT_WR)
assert client.recv(1) == b"k"
# Nobody waits for late packets: the ports are free at once.
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
client.close()
END
cat >server.py <<'END'
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
peer = server.accept()[0]
out = socket.create_connection((sys.argv[2], int(sys.argv[3]))) if len(sys.argv) > 2 else None
size = 0
while part := peer.recv(65536):
    size += len(part)
    if out:
        out.sendall(part)
peer.sendall(b"k")
try:
    peer.recv(1)
except OSError:
    pass
print(size, "bytes")
END
sink tcp
bg python3 server.py $((PORT + 1))
store=$LAST
until_true serves $((PORT + 1))
python3 client.py $((PORT + 1)) $((PORT + 2)) "$D" || fail "no first connection"
wait "$store"
sleep 1
bg python3 server.py $((PORT + 1)) "$SINK" "$PORT"
gateway=$LAST
until_true serves $((PORT + 1))
python3 client.py $((PORT + 1)) $((PORT + 2)) export || fail "no second connection"
wait "$gateway"
sunk 300000
