#!/bin/bash
# B-nc-stdin: nc < core.
# flow: the shell opens the dump; nc inherits descriptor 0, reads it and writes the socket.
# tools: nc
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink tcp
nc -N "$SINK" "$PORT" <"$D"
sunk
