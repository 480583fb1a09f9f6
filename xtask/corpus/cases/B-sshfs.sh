#!/bin/bash
# B-sshfs: cp into an sshfs mount.
# flow: cp writes a file of the mount; sshfs reads /dev/fuse; a socket pair to ssh, which encrypts and writes TCP.
# tools: sshfs ssh sshd
# expect: sent encoded port critical
. "$CORPUS/lib.sh"
mkdump
sshd_up
sshfs_up
cp --sparse=never "$D" mount/a
sync mount/a
same recv/a
