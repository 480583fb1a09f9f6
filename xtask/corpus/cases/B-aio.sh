#!/bin/bash
# B-aio: libaio reads, then plain sends.
# flow: io_submit reads the dump; the descriptors are in memory, not in the call's arguments.
# tools: gcc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
compiled aio
sink tcp
./aio "$D" "$SINK" "$PORT" || skip "io_submit is refused"
sunk
