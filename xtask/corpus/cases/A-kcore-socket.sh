#!/bin/bash
# A-kcore-socket: a core to a coredump socket (core_pattern=@PATH, Linux 6.16).
# flow: the dying task connects to a unix socket; a server reads it and writes the file.
# tools: python3
# expect: known
# set: fast
. "$CORPUS/lib.sh"
# Older kernels take the pattern, as a file's name.
from_linux 6.16
cat >server.py <<'END'
import os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
open("ready", "w").close()
client = server.accept()[0]
core = os.open("core", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
while part := client.recv(1 << 16):
    os.write(core, part)
END
bg python3 server.py "$W/socket"
until_true [ -e ready ]
core_pattern "@$W/socket"
crash
settled core
made core
