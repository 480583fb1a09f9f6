#!/bin/bash
# B-race-read: a reader follows a file while the dump is being copied into it, and sends as it grows.
# flow: the reader opened the file when nothing was in it.
# tools: python3 dd
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink tcp
: >live
bg python3 -c 'import socket, sys, time
sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
live, start = open(sys.argv[1], "rb"), time.time()
while time.time() - start < 3:
    if part := live.read(65536):
        sink.sendall(part)
    else:
        time.sleep(.02)' live "$SINK" "$PORT"
sleep .7
dd if="$D" of=live bs=32k conv=notrunc 2>/dev/null
wait "$LAST"
sunk
