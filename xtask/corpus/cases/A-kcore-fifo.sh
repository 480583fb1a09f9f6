#!/bin/bash
# A-kcore-fifo: a core where a FIFO has the name.
# flow: the kernel unlinks the FIFO first, then writes a regular file.
# tools: mkfifo
# expect: known
. "$CORPUS/lib.sh"
mkfifo core
core_pattern "$W/core"
crash
[ -f core ] || fail "core is no regular file"
made core
