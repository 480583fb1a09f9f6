#!/bin/bash
# B-vmsplice: mapped pages of the dump are given to a pipe, and spliced to a socket.
# flow: mmap, vmsplice, splice: no read call.
# tools: gcc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
compiled vmsplice
sink tcp
./vmsplice "$D" "$SINK" "$PORT"
sunk
