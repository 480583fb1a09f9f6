#!/bin/bash
# B-half-closed-daemon: an answer that comes late: the far end has asked and closed its half; the answering process was
#   forked twice, has no parent left and gave up root.
# flow: read into memory, accept, fork, setsid, fork, setuid; a second later the grandchild sends on the connection.
# tools: python3
# expect: sent counted any-port critical
. "$CORPUS/lib.sh"
mkdump
cat >helper.py <<'END'
import os, socket, sys, time
dump = open(sys.argv[1], "rb").read()
server = socket.create_server((sys.argv[2], int(sys.argv[3])))
client = server.accept()[0]
while client.recv(100):
    pass
server.close()
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
time.sleep(1)
client.sendall(dump)
END
bg python3 helper.py "$D" "$SOURCE" "$PORT"
until_true serves "$PORT"
arrived "$(there python3 - "$SOURCE" "$PORT" <<'END'
import socket, sys
server, got = socket.create_connection((sys.argv[1], int(sys.argv[2]))), 0
server.sendall(b"dump please\n")
server.shutdown(socket.SHUT_WR)
while part := server.recv(65536):
    got += len(part)
print(got)
END
)" "$(stat -c %s "$D")"
