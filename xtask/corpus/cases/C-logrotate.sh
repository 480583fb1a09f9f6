#!/bin/bash
# C-logrotate: logrotate compresses a log beside the dump.
# flow: gzip reads and writes another file of the folder.
# tools: logrotate
# expect: silent
# set: fast
. "$CORPUS/lib.sh"
mkdump
chmod 755 dumps
seq 100000 >dumps/app.log
printf '%s/dumps/app.log {\n rotate 2\n compress\n su root root\n}\n' "$W" >logrotate.conf
logrotate -f -s state logrotate.conf
ls dumps/app.log.1.gz
