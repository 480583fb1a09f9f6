#!/bin/bash
# C-tmpfs-remount: a scratch file system in memory with a core is unmounted, and mounted anew with an export.
# flow: device and inode numbers may come again, and the memory of the inode, too; the file is another one.
# tools: mount curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
mkdir scratch
undo "umount '$W/scratch'"
seq 60000 >export
for _ in 1 2 3 4 5; do
    mount -t tmpfs -o size=4M scratch scratch || skip "no tmpfs"
    cp "$D" scratch/data
    sha256sum scratch/data | cut -c1-9
    stat -c 'first %d %i' scratch/data
    umount scratch
    mount -t tmpfs -o size=4M scratch scratch
    cp export scratch/data
    stat -c 'second %d %i' scratch/data
    out scratch/data
    kill "$LAST"
    wait "$LAST" 2>/dev/null
    rm sink.log sink.log.ready
    umount scratch
done
