#!/bin/bash
# B-deleted-recovered: the dump was deleted, but a process still has it open: it is recovered as lsof users do.
# flow: cat opens /proc/PID/fd/N of an unrelated process, a file without a name, and writes a new one; curl reads and sends that.
# tools: curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
bg bash -c ': >held; exec sleep 20' 7<"$D"
until_true [ -e held ]
rm "$D"
cat "/proc/$LAST/fd/7" >recovered || fail "cat"
out recovered
