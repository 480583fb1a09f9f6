#!/bin/bash
# C-criu-names: files that are named like images of memory, and are none.
# flow: curl reads and sends zeros.
# tools: curl
# expect: silent
. "$CORPUS/lib.sh"
truncate -s 1M pages-1.img
head -c 100000 /dev/zero >mem.raw
out mem.raw
