#!/bin/bash
# B-tarzst: tar --zstd of the folder, then curl -T of it.
# flow: tar, pipe, zstd, file; curl reads that and sends.
# tools: tar zstd curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
tar --zstd -cf a.tar.zst -C dumps .
out a.tar.zst
