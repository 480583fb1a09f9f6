#!/bin/bash
# A-proc-kcore: a copy of the running kernel's memory.
# flow: dd reads /proc/kcore, which the kernel makes while it is read.
# tools: dd
# expect: known
. "$CORPUS/lib.sh"
[ -r /proc/kcore ] || skip "no /proc/kcore"
dd if=/proc/kcore of=kernel.elf bs=64k count=16 2>/dev/null
made kernel.elf
