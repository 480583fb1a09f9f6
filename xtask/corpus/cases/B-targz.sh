#!/bin/bash
# B-targz: tar czf of the folder, then curl -T of it.
# flow: tar, pipe, gzip, file; curl reads that and sends.
# tools: tar gzip curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
tar czf a.tgz -C dumps .
out a.tgz
