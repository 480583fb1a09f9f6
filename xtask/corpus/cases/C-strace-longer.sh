#!/bin/bash
# C-strace-longer: strace prints all that a program reads and writes, ten thousand bytes of each, where a core has been hashed.
# flow: process_vm_readv(2) of pieces of 10 KB, by who traces; what is printed is posted.
# tools: strace
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sha256sum "$D"
seq 90000 >log
strace -f -s 9999 -e trace=read,write -o trace.log dd if=log of=copy bs=64k status=none
out trace.log
