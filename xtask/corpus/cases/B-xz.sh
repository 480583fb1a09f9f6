#!/bin/bash
# B-xz: xz core, then curl -T of what it made.
# flow: xz reads the dump and writes the archive; curl reads that and sends.
# tools: xz curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
xz -q "$D"
out "$D.xz"
