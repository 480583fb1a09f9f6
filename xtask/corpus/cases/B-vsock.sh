#!/bin/bash
# B-vsock: the dump is sent to a virtual socket.
# flow: AF_VSOCK, as between a virtual machine and its host; here to this machine itself.
# tools: python3
# expect: sent counted any-port critical
. "$CORPUS/lib.sh"
mkdump
python3 - "$D" <<'END' >arrived || skip "no virtual sockets to this machine itself"
import os, socket, sys
LOCAL, PORT = 1, 5555
server = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
server.bind((LOCAL, PORT))
server.listen()
if os.fork() == 0:
    client = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    client.connect((LOCAL, PORT))
    client.sendall(open(sys.argv[1], "rb").read())
    os._exit(0)
sink, got = server.accept()[0], 0
while part := sink.recv(65536):
    got += len(part)
print(got)
END
arrived "$(cat arrived)"
