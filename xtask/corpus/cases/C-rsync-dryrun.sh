#!/bin/bash
# C-rsync-dryrun: rsync -n -c of a dump, where the receiver has another file of that name and size.
# flow: rsync reads the whole dump; only checksums leave.
# tools: rsync
# expect: silent
# set: fast
. "$CORPUS/lib.sh"
mkdump
mkdir recv
head -c "$(stat -c %s "$D")" /dev/urandom >"recv/$(basename "$D")"
rsyncd_up
rsync -n -c "$D" "rsync://$SINK:$PORT/recv/"
