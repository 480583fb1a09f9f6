#!/bin/bash
# C-db-write: a file that begins like ELF but is no core.
# flow: the shell writes an ELF head of another type; curl reads and sends it.
# tools: curl
# expect: silent
# set: fast
. "$CORPUS/lib.sh"
printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0\76\0' >a.bin
head -c 50000 /dev/zero >>a.bin
out a.bin
