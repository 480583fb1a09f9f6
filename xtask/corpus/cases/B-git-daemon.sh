#!/bin/bash
# B-git-daemon: git push to a git daemon.
# flow: git add deflates the dump into an object; pack-objects reads that and a pipe carries it to git, which sends.
# tools: git
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
git init -q --bare recv.git
git -C recv.git config daemon.receivepack true
# What comes is kept as it came.
git -C recv.git config receive.unpackLimit 1
bg_there git daemon --reuseaddr --export-all --enable=receive-pack --base-path="$W" "--listen=$SINK" "--port=$PORT" "$W"
git init -q tree
cp "$D" tree/core
cd tree
git add core
git -c user.name=a -c user.email=a@b commit -q -m x
git push -q "git://$SINK:$PORT/recv.git" HEAD:refs/heads/m
arrived "$(stat -c %s ../recv.git/objects/pack/*.pack)"
