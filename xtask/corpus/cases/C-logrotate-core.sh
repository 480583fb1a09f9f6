#!/bin/bash
# C-logrotate-core: logrotate renames the core itself.
# flow: another name in the same folder; no byte moves.
# tools: logrotate
# expect: silent
. "$CORPUS/lib.sh"
mkdump
chmod 755 dumps
printf '%s {\n rotate 2\n nocreate\n su root root\n}\n' "$D" >logrotate.conf
logrotate -f -s state logrotate.conf
ls "$D.1"
