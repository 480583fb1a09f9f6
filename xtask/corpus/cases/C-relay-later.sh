#!/bin/bash
# C-relay-later: a relay brings a dump to a service of its own zone; six seconds later it brings other data to the sink zone.
# flow: relay answers each client, so that both have bytes of each other; what it has passed on it holds no more.
# tools: python3
# expect: silent
. "$CORPUS/lib.sh"
mkdump
cat >relay.py <<'END'
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client = server.accept()[0]
    port, address = client.recv(64).decode().split()
    client.send(b"k")
    target = socket.create_connection((address, int(port)))
    while piece := client.recv(16384):
        target.sendall(piece)
    target.close()
    client.close()
END
cat >service.py <<'END'
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while client := server.accept()[0]:
    while client.recv(65536):
        pass
END
cat >client.py <<'END'
import socket, sys
relay = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
relay.sendall((sys.argv[2] + " " + sys.argv[3]).encode())
relay.recv(1)
relay.sendall(open(sys.argv[4], "rb").read())
relay.close()
END
sink tcp
bg python3 relay.py $((PORT + 1))
bg python3 service.py $((PORT + 2))
until_true serves $((PORT + 1))
until_true serves $((PORT + 2))
python3 client.py $((PORT + 1)) $((PORT + 2)) 127.0.0.1 "$D"
sleep 6
seq 20000 >other
python3 client.py $((PORT + 1)) "$PORT" "$SINK" other
sunk 100000
