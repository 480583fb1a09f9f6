#!/bin/bash
# B-collapse-head: the first page of the dump is cut out of the file, so that it has no magic; it is renamed and sent.
# flow: fallocate(2) with FALLOC_FL_COLLAPSE_RANGE moves blocks, not bytes: the same inode; curl reads and sends the rest.
# tools: fallocate curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
fallocate -c -o 0 -l 4096 "$D" || skip "this file system cannot collapse"
mv "$D" notes.bin
! head -c 4 notes.bin | grep -q ELF || fail "the head is still there"
out notes.bin
