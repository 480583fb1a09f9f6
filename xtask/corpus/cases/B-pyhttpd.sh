#!/bin/bash
# B-pyhttpd: python -m http.server in the folder of the dump, the sink zone pulls.
# flow: read and send of 64 KiB on an accepted connection.
# tools: python3 curl
# expect: sent counted any-port critical
. "$CORPUS/lib.sh"
mkdump
bg python3 -m http.server --bind "$SOURCE" -d dumps "$PORT"
until_true listens "$SOURCE" "$PORT"
pull "http://$SOURCE:$PORT/$(basename "$D")"
