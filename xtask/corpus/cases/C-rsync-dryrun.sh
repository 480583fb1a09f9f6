#!/bin/bash
# C-rsync-dryrun: rsync -c and rsync -n of a dump that the receiver has.
# flow: rsync reads the whole dump; only checksums leave.
# tools: rsync
# expect: silent
# set: fast
. "$CORPUS/lib.sh"
mkdump
mkdir recv
cp -p "$D" recv/
rsyncd_up
rsync -c "$D" "rsync://$SINK:$PORT/recv/"
rsync -n "$D" "rsync://$SINK:$PORT/recv/"
