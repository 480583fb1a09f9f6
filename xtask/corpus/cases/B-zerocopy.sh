#!/bin/bash
# B-zerocopy: a send with MSG_ZEROCOPY.
# flow: the bytes leave from the sender's pages after the call has returned.
# tools: gcc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
compiled zerocopy
sink tcp
./zerocopy "$D" "$SINK" "$PORT"
sunk
