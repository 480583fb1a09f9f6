#!/bin/bash
# B-iouring-send: io_uring reads the dump and sends it.
# flow: both are requests of a ring; only connect is a call.
# tools: gcc
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
compiled uring
sink tcp
./uring send "$D" "$SINK" "$PORT" || skip "io_uring is refused"
sunk
