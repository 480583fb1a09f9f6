#!/bin/bash
# A-kcore-overwrite: a core where a larger file has the name.
# flow: the kernel unlinks that file and makes another, whose inode number is often the same.
# tools: sh
# expect: known
# set: fast
. "$CORPUS/lib.sh"
head -c 3000000 /dev/urandom >core
core_pattern "$W/core"
crash
made core
