#!/bin/bash
# B-zip: zip of the dump, then curl -T of it.
# flow: zip writes a temporary file and renames it; curl reads that and sends.
# tools: zip curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
zip -q -j a.zip "$D"
out a.zip
