#!/bin/bash
# B-memfd-sealed: a broker fills a sealed memfd and passes it to a client that connected, which maps it and sends.
# flow: sendfile from file to memfd; SCM_RIGHTS between unrelated processes; mmap, send: the client makes no read at all.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
cat >helper.py <<'END'
import fcntl, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind("broker.new")
server.listen()
os.rename("broker.new", "broker")
client = server.accept()[0]
dump = os.open(sys.argv[1], os.O_RDONLY)
memory = os.memfd_create("frame", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
while os.sendfile(memory, dump, None, 100000):
    pass
fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
socket.send_fds(client, [b"f"], [memory])
END
bg python3 helper.py "$D"
until_true [ -S broker ]
python3 - "$SINK" "$PORT" <<'END' || fail "client"
import fcntl, mmap, socket, sys
broker = socket.socket(socket.AF_UNIX)
broker.connect("broker")
memory = socket.recv_fds(broker, 1, 1)[1][0]
assert fcntl.fcntl(memory, fcntl.F_GET_SEALS) & fcntl.F_SEAL_WRITE
pages = mmap.mmap(memory, 0, mmap.MAP_PRIVATE, mmap.PROT_READ)
socket.create_connection((sys.argv[1], int(sys.argv[2]))).sendall(pages)
END
sunk
