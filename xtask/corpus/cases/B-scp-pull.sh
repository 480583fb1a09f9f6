#!/bin/bash
# B-scp-pull: the sink zone pulls by scp from an sshd here.
# flow: sftp-server reads the dump; a pipe to the session's sshd, which encrypts and writes TCP.
# tools: scp sshd
# expect: sent counted any-port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
sshd_up here
there scp -q -F ssh_config "target:$D" "$W/recv/a"
same recv/a
