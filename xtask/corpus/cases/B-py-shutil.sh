#!/bin/bash
# B-py-shutil: python's shutil.copyfile, then curl -T of the copy.
# flow: sendfile from file to file; curl reads the copy and sends.
# tools: python3 curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
python3 -c 'import shutil, sys; shutil.copyfile(*sys.argv[1:])' "$D" copy
out copy
