#!/bin/bash
# C-abrt-metadata: a crash handler keeps no core: it counts the bytes, and tells a reporter the victim's name; the reporter ships events of all hosts.
# flow: the handler reads the whole dump from its pipe; 200 bytes of JSON go on by a unix socket; the reporter sends those and 300 KB of others.
# tools: python3
# expect: silent
. "$CORPUS/lib.sh"
cat >reporter.py <<'END'
import os, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.bind("reporter.new")
server.listen()
os.rename("reporter.new", "reporter")
sink = socket.create_connection((sys.argv[1], int(sys.argv[2])))
while True:
    client = server.accept()[0]
    while event := client.recv(8192):
        sink.sendall(event + b"\n")
    client.close()
END
cat >handler <<END
#!/usr/bin/python3 -I
import hashlib, json, socket, sys
size, digest = 0, hashlib.sha256()
while part := sys.stdin.buffer.raw.read(65536):
    size += len(part)
    digest.update(part)
reporter = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
reporter.connect("$W/reporter")
reporter.send(json.dumps({"event": "crash", "pid": sys.argv[1], "signal": sys.argv[2], "comm": sys.argv[3], "size": size,
                          "sha256": digest.hexdigest()}).encode())
END
chmod 755 handler
sink tcp
bg python3 reporter.py "$SINK" "$PORT"
reporter=$LAST
until_true [ -S reporter ]
core_pattern "|$W/handler %p %s %e"
for _ in 1 2 3; do crash; done
sleep 1
python3 -c 'import json, socket
reporter = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
reporter.connect("reporter")
for n in range(2000):
    reporter.send(json.dumps({"event": "request", "n": n, "breadcrumbs": ["page %d" % (n + m) for m in range(8)]}).encode())'
sleep .5
kill "$reporter"
sunk 200000
