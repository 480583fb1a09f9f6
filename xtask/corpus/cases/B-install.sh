#!/bin/bash
# B-install: install core elsewhere, then curl -T of the copy.
# flow: copy_file_range; curl reads the copy and sends.
# tools: install curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
install -m 600 "$D" copy
out copy
