#!/bin/bash
# B-proxy-unix: curl --unix-socket to a local relay, as to a container engine.
# flow: curl, unix socket; the relay reads and sends 16 KiB.
# tools: python3 curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink http
bg python3 "$CORPUS/relay.py" "$W/relay.sock" unix "$SINK" "$PORT"
until_true [ -S relay.sock ]
curl -sS --unix-socket relay.sock -T "$D" http://x/up
sunk
