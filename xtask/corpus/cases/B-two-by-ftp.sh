#!/bin/bash
# B-two-by-ftp: one curl puts two dumps to an FTP server.
# flow: one control connection, and a connection to another port for each dump.
# tools: vsftpd curl
# expect: sent counted any-port critical
. "$CORPUS/lib.sh"
crash_two
made "$A" "$B"
mkdir -p ftp/in
chmod 777 ftp/in
vsftpd_up bg_there "$SINK" ftp
curl -sS -T "{$A,$B}" "ftp://$SINK:$PORT/in/" || fail "curl"
arrived "$(cat ftp/in/* | wc -c)" 500000
