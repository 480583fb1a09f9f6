#!/bin/bash
# B-dd-direct: dd iflag=direct, then curl -T of the copy.
# flow: O_DIRECT reads past the page cache; curl reads the copy and sends.
# tools: dd curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
dd if="$D" of=copy bs=64k iflag=direct 2>/dev/null || skip "no O_DIRECT here"
out copy
