#!/bin/bash
# C-debuginfod: gdb reads the core, and asks a debuginfod for symbols.
# flow: the process that has read the dump sends requests: build ids leave, no memory.
# tools: gdb
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sink http
DEBUGINFOD_URLS=http://$SINK:$PORT gdb -q -nx -batch -iex 'set debuginfod enabled on' -c "$D" /bin/sh -ex bt >trace 2>&1
[ -s trace ] || fail "gdb said nothing"
