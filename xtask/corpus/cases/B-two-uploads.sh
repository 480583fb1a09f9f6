#!/bin/bash
# B-two-uploads: one curl uploads two dumps, one after the other, by one connection.
# flow: curl reads 64 KiB and sends 64 KiB; the second upload goes where the first one went.
# tools: curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
crash_two
made "$A" "$B"
sink http
curl -sS -T "{$A,$B}" "http://$SINK:$PORT/up/"
sunk
