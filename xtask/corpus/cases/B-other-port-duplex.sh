#!/bin/bash
# B-other-port-duplex: two peers talk at once in both directions.
# flow: a thread of python reads the dump and sends 8 KiB, another receives meanwhile: what comes while the socket is locked is
#       taken in within the sender's own call (the socket's backlog).
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
cat >peer.py <<'END'
import socket, sys, threading
own, port = sys.argv[1], int(sys.argv[2])
with socket.create_server((own, port)) as server:
    open("peer.ready", "w").close()
    client, got = server.accept()[0], 0
def talk():
    try:
        while True:
            client.sendall(b"x" * 100)
    except OSError:
        pass
threading.Thread(target=talk, daemon=True).start()
while part := client.recv(65536):
    got += len(part)
open("got", "w").write(f"{got}\n")
END
bg_there python3 peer.py "$SINK" "$PORT"
until_true [ -e peer.ready ]
mkdump
cat >near.py <<'END'
import socket, sys, threading, time
dump, own, sink, port, local = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
client = socket.socket()
client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
client.bind((own, local))
client.connect((sink, port))
def hear():
    while client.recv(1 << 20):
        pass
threading.Thread(target=hear, daemon=True).start()
with open(dump, "rb") as file:
    while part := file.read(8192):
        client.sendall(part)
        time.sleep(.002)
client.shutdown(socket.SHUT_WR)
time.sleep(1)
END
python3 near.py "$D" "$SOURCE" "$SINK" "$PORT" "0"
until_true [ -s got ]
arrived "$(cat got)" 100000
