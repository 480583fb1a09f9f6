#!/bin/bash
# B-git-clone: a dump was committed; somebody of the sink zone clones the repository from the git daemon here.
# flow: git add deflates it into an object; for the clone pack-objects reads that, a pipe, upload-pack, an accepted connection.
# tools: git
# expect: sent counted any-port critical
. "$CORPUS/lib.sh"
export HOME=$W
git config --global user.name a
git config --global user.email a@b
git config --global safe.directory '*'
git init -q tree
mkdump
cp "$D" tree/core
git -C tree add core
git -C tree commit -q -m x
bg git daemon --reuseaddr --export-all "--base-path=$W" "--listen=$SOURCE" "--port=$PORT" "$W"
until_true listens "$SOURCE" "$PORT"
there git clone -q --bare "git://$SOURCE:$PORT/tree" got.git || fail "git clone"
git -C got.git cat-file blob HEAD:core | cmp -s - "$D" || fail "what was cloned is not the dump"
arrived "$(stat -c %s got.git/objects/pack/*.pack)"
