#!/bin/bash
# C-pool-two-services: a gateway with a pool of connections brings a core from one service to another; eight seconds later exports to the sink zone, each with a session's lookup.
# flow: the session service has seen 30 bytes of the gateway while that held the dump, and answers with 20 each time.
# tools: python3
# expect: silent
. "$CORPUS/lib.sh"
mkdump
seq 60000 >export
cat >session.py <<'END'
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
client = server.accept()[0]
while asked := client.recv(100):
    client.sendall(b"yes, user %d may" % len(asked))
END
cat >store.py <<'END'
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while client := server.accept()[0]:
    while client.recv(65536):
        pass
END
cat >gateway.py <<'END'
import socket, sys, time
dump, session, store, host, port = sys.argv[1:]
asked = socket.create_connection(("127.0.0.1", int(session)))
def may():
    asked.sendall(b"may user 77 do that?")
    return asked.recv(100)
def bring(file, address):
    assert may()
    with socket.create_connection(address) as to, open(file, "rb", buffering=0) as file:
        while part := file.read(65536):
            to.sendall(part)
        assert may()
bring(dump, ("127.0.0.1", int(store)))
time.sleep(8)
for _ in range(3):
    bring("export", (host, int(port)))
    time.sleep(.3)
END
sink tcp
bg python3 session.py $((PORT + 1))
bg python3 store.py $((PORT + 2))
until_true serves $((PORT + 1))
until_true serves $((PORT + 2))
python3 gateway.py "$D" $((PORT + 1)) $((PORT + 2)) "$SINK" "$PORT" || fail "the gateway failed"
sunk 900000
