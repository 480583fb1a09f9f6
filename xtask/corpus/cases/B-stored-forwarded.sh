#!/bin/bash
# B-stored-forwarded: curl to a server here that stores, another process sends what it stored.
# flow: curl, loopback, the server's memory, a file; python reads that and sends.
# tools: python3 curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
bg python3 "$CORPUS/store.py" "$((PORT + 1))" "$W/stored"
until_true [ -e stored.ready ]
curl -sS -T "$D" "http://127.0.0.1:$((PORT + 1))/up" >/dev/null
settled stored
out stored
