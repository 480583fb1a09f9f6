#!/bin/bash
# B-ssh-tar: tar cz | ssh host 'tar xz'.
# flow: tar, pipe, gzip, pipe, ssh, which encrypts and writes TCP: far fewer bytes than the dump has.
# tools: ssh sshd
# expect: sent encoded port critical
. "$CORPUS/lib.sh"
mkdump
sshd_up
tar cz -C dumps . | ssh -F ssh_config target "tar xz -C $W/recv"
same "recv/$(basename "$D")"
