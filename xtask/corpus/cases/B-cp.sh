#!/bin/bash
# B-cp: cp core notes.txt, then curl -T of the copy.
# flow: copy_file_range from file to file, no user memory; curl reads the copy and sends.
# tools: curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
cp "$D" notes.txt
out notes.txt
