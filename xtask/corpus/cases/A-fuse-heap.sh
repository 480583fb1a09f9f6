#!/bin/bash
# A-fuse-heap: a program writes a heap dump to a mount of a server in user space.
# flow: no inode is dirtied that the kernel tells of; bindfs gets the bytes and writes the file behind.
# tools: bindfs python3
# expect: known
. "$CORPUS/lib.sh"
bindfs_up
from_linux 6.11
python3 - mount/heap <<'END'
import sys
with open(sys.argv[1], "wb", buffering=0) as file:
    file.write(b"JAVA PROFILE 1.0.2\0\0\0\0\10" + b"x" * 5000)
    for _ in range(40):
        file.write(b"x" * 60000)
END
made mount/heap
