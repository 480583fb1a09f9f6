#!/bin/bash
# C-inode-reuse: a core that was looked at is deleted, and an export gets the number of its inode.
# flow: another inode with the same number on the same device; curl reads and sends it.
# tools: curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sha256sum "$D" >/dev/null
number=$(stat -c %i "$D")
rm "$D"
for n in $(seq 200); do
    : >"dumps/export.$n"
    [ "$(stat -c %i "dumps/export.$n")" = "$number" ] && break
done
[ "$(stat -c %i "dumps/export.$n")" = "$number" ] || skip "this file system gives no number twice"
seq 60000 >"dumps/export.$n"
out "dumps/export.$n"
