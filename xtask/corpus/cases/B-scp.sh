#!/bin/bash
# B-scp: scp core host: (OpenSSH 9 speaks sftp).
# flow: scp reads the dump; a socket pair to its child ssh, which encrypts and writes TCP.
# tools: scp sshd
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
sshd_up
scp -q -F ssh_config "$D" "target:$W/recv/a"
same recv/a
