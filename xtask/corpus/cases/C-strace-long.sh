#!/bin/bash
# C-strace-long: strace prints what a program reads and writes, a kilobyte of each call, and the trace is sent.
# flow: strace reads buffers of the traced process, in pieces of 1000 bytes, a few hundred times.
# tools: strace dd curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sha256sum "$D" >/dev/null
seq 40000 >log
strace -f -s 1000 -e trace=read,write -o trace.log dd if=log of=copy bs=1k status=none
cmp log copy || fail "dd did not copy"
out trace.log
