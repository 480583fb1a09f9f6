#!/bin/bash
# B-ssh-cat: ssh host 'cat > file' < core.
# flow: ssh reads the dump as its descriptor 0, encrypts and writes TCP.
# tools: ssh sshd
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sshd_up
ssh -F ssh_config target "cat >$W/recv/a" <"$D"
same recv/a
