#!/bin/bash
# B-rsync-delta: rsync of a dump that the receiver nearly has.
# flow: rsync reads the whole dump; only the blocks that differ leave.
# tools: rsync
# expect: sent encoded port low
. "$CORPUS/lib.sh"
mkdump
mkdir recv
cp "$D" recv/
printf x | dd of="recv/$(basename "$D")" bs=1 seek=300000 conv=notrunc 2>/dev/null
rsyncd_up
rsync -I "$D" "rsync://$SINK:$PORT/recv/"
same "recv/$(basename "$D")"
