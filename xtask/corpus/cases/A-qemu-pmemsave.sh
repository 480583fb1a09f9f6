#!/bin/bash
# A-qemu-pmemsave: QEMU's pmemsave.
# flow: QEMU writes raw guest memory, without any magic: only the origin tells what it is.
# tools: qemu-system-x86_64 python3
# expect: known
. "$CORPUS/lib.sh"
guest
monitor "pmemsave 0 67108864 \"$W/memory.raw\""
settled memory.raw
made memory.raw
