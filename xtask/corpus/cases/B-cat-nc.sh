#!/bin/bash
# B-cat-nc: cat core | nc.
# flow: cat, pipe, nc: the sender never opens the dump.
# tools: nc
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink tcp
cat "$D" | nc -N "$SINK" "$PORT"
sunk
