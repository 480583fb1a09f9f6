#!/bin/bash
# B-syslog-later: a program tells a syslog daemon a dump's checksum; later another one logs the dump itself, as base64.
# flow: datagrams of two senders to one unix socket; the daemon sends all lines on.
# tools: python3
# expect: sent encoded port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
cat >logd.py <<'END'
import socket, sys
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind("log")
sink = socket.create_connection((sys.argv[1], int(sys.argv[2])))
while line := log.recv(8192):
    sink.sendall(line + b"\n")
END
bg python3 logd.py "$SINK" "$PORT"
logd=$LAST
until_true [ -S log ]
say() { python3 -c 'import base64, hashlib, socket, sys
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.connect("log")
'"$1" "$D"; }
say 'log.send(b"core seen, sha256 " + hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest().encode())'
sleep 2
say 'text = base64.b64encode(open(sys.argv[1], "rb").read())
for at in range(0, len(text), 4000): log.send(text[at : at + 4000])'
sleep .5
kill "$logd"
sunk 600000
