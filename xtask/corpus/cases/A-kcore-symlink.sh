#!/bin/bash
# A-kcore-symlink: a core where a symbolic link has the name.
# flow: the kernel unlinks the link and writes a new file; the link's target stays as it was.
# tools: sh
# expect: known
. "$CORPUS/lib.sh"
echo keep >target.txt
ln -s target.txt core
core_pattern "$W/core"
crash
[ "$(cat target.txt)" = keep ] || fail "the target was written"
made core
