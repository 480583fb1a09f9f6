#!/bin/bash
# B-sftp: sftp put.
# flow: sftp reads the dump; a socket pair to its child ssh, which encrypts and writes TCP.
# tools: sftp sshd
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sshd_up
echo "put $D $W/recv/a" | sftp -q -b - -F ssh_config target >/dev/null
same recv/a
