#!/bin/bash
# C-other-samedir: a log in the folder of the dump is sent.
# flow: curl reads and sends another file of the folder.
# tools: curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
seq 50000 >dumps/app.log
out dumps/app.log
