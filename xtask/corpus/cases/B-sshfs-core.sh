#!/bin/bash
# B-sshfs-core: a process crashes in a folder that is a mount of the other zone: the kernel itself takes the core out.
# flow: the dying task writes the file of the mount; sshfs reads /dev/fuse; a socket pair to ssh, which writes TCP.
# tools: sshfs ssh sshd
# expect: sent encoded port critical
. "$CORPUS/lib.sh"
from_linux 6.11
sshd_up
sshfs_up
crash mount
until_true eval 'ls recv/core* >/dev/null'
sleep 1
core=$(basename recv/core*)
note "dump $W/mount/$core"
arrived "$(stat -c %s "recv/$core")"
