#!/bin/bash
# B-cat-redir: cat core > copy, then curl -T of the copy.
# flow: copy_file_range by cat, to a file that the shell opened; curl reads the copy and sends.
# tools: curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
cat "$D" >copy
out copy
