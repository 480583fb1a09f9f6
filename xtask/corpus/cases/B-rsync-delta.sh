#!/bin/bash
# B-rsync-delta: rsync of a dump to a receiver that has an earlier one of the same program.
# flow: rsync reads the whole dump; only the blocks that differ leave.
# tools: rsync setarch
# expect: sent encoded port critical
. "$CORPUS/lib.sh"
alike() { setarch -R env -i SECRET="$MARKER" /bin/sh -c 'ulimit -c unlimited; kill -ABRT $$'; }
mkdir dumps recv
(cd recv && alike)
(cd dumps && alike)
D=$(ls -d "$W"/dumps/core*)
made "$D"
mv recv/core* "recv/$(basename "$D")"
rsyncd_up
rsync -I "$D" "rsync://$SINK:$PORT/recv/"
same "recv/$(basename "$D")"
