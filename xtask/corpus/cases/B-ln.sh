#!/bin/bash
# B-ln: a hard link, the first name removed, then curl -T.
# flow: the same inode under another name; curl reads and sends.
# tools: curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
ln "$D" other.dat
rm "$D"
out other.dat
