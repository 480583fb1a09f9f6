#!/bin/bash
# B-rsync-ssh: rsync over ssh.
# flow: rsync reads 256 KiB; a socket pair to its child ssh, which encrypts and writes TCP.
# tools: rsync ssh sshd
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
sshd_up
rsync -q -e "ssh -F $W/ssh_config" "$D" "target:$W/recv/"
same "recv/$(basename "$D")"
