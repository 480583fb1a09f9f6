#!/bin/bash
# B-two-by-scp: scp -r of a folder with three dumps.
# flow: scp reads one after the other; a socket pair to its child ssh, which encrypts and writes TCP: all by one connection.
# tools: scp sshd
# expect: sent counted port critical
. "$CORPUS/lib.sh"
for name in first second third; do
    mkdump
    mkdir -p folder
    mv "$D" "folder/$name"
done
sshd_up
scp -q -r -F ssh_config folder "target:$W/recv/"
for D in folder/*; do same "recv/$D"; done
