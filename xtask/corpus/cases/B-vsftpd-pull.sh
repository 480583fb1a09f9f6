#!/bin/bash
# B-vsftpd-pull: vsftpd serves the folder of the dump, the sink zone pulls.
# flow: a process with rights accepts and passes the socket to one without, which uses sendfile.
# tools: vsftpd curl
# expect: sent counted any-port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
chmod 755 dumps
chmod 644 "$D"
vsftpd_up bg "$SOURCE" dumps
pull "ftp://$SOURCE:$PORT/$(basename "$D")"
