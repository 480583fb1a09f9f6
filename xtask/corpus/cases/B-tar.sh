#!/bin/bash
# B-tar: tar of the folder, then curl -T of it.
# flow: tar reads and writes 10 KiB: the dump's head does not lie at the archive's start.
# tools: tar curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
tar cf a.tar -C dumps .
out a.tar
