#!/bin/bash
# A-kcore-usespid: core_pattern=core with core_uses_pid=1.
# flow: as A-kcore-file, and the kernel appends the process id.
# tools: sh
# expect: known
. "$CORPUS/lib.sh"
core_pattern core
echo 1 >/proc/sys/kernel/core_uses_pid
undo 'echo 0 >/proc/sys/kernel/core_uses_pid'
crash
made core.*
