#!/bin/bash
# C-overwritten: the dump is truncated and overwritten with ordinary text, then sent.
# flow: the same inode, but the dump's bytes are gone from it.
# tools: curl
# expect: silent
# set: fast
. "$CORPUS/lib.sh"
mkdump
seq 5000 >"$D"
out "$D"
