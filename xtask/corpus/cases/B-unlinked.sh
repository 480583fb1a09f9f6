#!/bin/bash
# B-unlinked: the dump is opened, unlinked and sent by its descriptor.
# flow: curl opens /proc/self/fd/7, reads and sends: no path is left.
# tools: curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
exec 7<"$D"
rm "$D"
out /proc/self/fd/7
