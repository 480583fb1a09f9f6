#!/bin/bash
# C-other-file: another file is sent while a dump lies there.
# flow: curl reads and sends a file that is no dump.
# tools: curl
# expect: silent
# set: fast
. "$CORPUS/lib.sh"
mkdump
head -c 300000 /dev/urandom >other.bin
out other.bin
