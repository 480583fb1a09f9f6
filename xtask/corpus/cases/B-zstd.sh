#!/bin/bash
# B-zstd: zstd core, then curl -T of what it made.
# flow: zstd reads the dump and writes the archive in threads; curl reads that and sends.
# tools: zstd curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
zstd -q "$D"
out "$D.zst"
