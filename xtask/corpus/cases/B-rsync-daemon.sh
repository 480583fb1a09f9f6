#!/bin/bash
# B-rsync-daemon: rsync to an rsync daemon.
# flow: rsync reads 256 KiB and writes TCP; the receiver writes a temporary file and renames it.
# tools: rsync
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
mkdir recv
rsyncd_up
rsync "$D" "rsync://$SINK:$PORT/recv/"
same "recv/$(basename "$D")"
