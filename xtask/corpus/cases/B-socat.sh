#!/bin/bash
# B-socat: socat from the file to TCP.
# flow: read and write of 8 KiB.
# tools: socat
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
socat -u "FILE:$D" "TCP:$SINK:$PORT"
sunk
