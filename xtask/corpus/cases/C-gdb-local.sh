#!/bin/bash
# C-gdb-local: gdb shows a backtrace of the core, to a file.
# flow: gdb reads the dump and writes a little text.
# tools: gdb
# expect: silent
. "$CORPUS/lib.sh"
mkdump
gdb -q -nx -batch -c "$D" /bin/sh -ex bt >trace 2>&1
[ -s trace ] || fail "gdb said nothing"
