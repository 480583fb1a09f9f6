#!/bin/bash
# B-gzip: gzip core, then curl -T of what it made.
# flow: gzip reads the dump and writes the archive at once; curl reads that and sends.
# tools: gzip curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
gzip -q "$D"
out "$D.gz"
