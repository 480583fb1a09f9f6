#!/bin/bash
# B-curl-T: curl -T core.
# flow: curl reads 64 KiB and sends 64 KiB.
# tools: curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
out "$D"
