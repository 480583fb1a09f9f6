#!/bin/bash
# B-two-uploads: one curl uploads two dumps, one after the other, by one connection.
# flow: curl reads 64 KiB and sends 64 KiB; the second upload goes where the first one went.
# tools: curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdir first second
crash first
crash second
made first/core* second/core*
sink http
curl -sS -T "{$(ls -d first/core*),$(ls -d second/core*)}" "http://$SINK:$PORT/up/"
sunk
