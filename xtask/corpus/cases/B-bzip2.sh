#!/bin/bash
# B-bzip2: bzip2 core, then curl -T of what it made.
# flow: bzip2 reads and writes 4 KiB; curl reads the archive and sends.
# tools: bzip2 curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
bzip2 -q "$D"
out "$D.bz2"
