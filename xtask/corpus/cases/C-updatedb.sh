#!/bin/bash
# C-updatedb: updatedb walks the folder of the dump.
# flow: names are read, no byte of the dump.
# tools: updatedb
# expect: silent
. "$CORPUS/lib.sh"
mkdump
updatedb -l 0 -U "$W/dumps" -o "$W/db"
[ -s db ] || fail "no database"
