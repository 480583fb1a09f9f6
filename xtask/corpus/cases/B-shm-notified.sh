#!/bin/bash
# B-shm-notified: as services share memory: the one fills it and writes a word to a pipe, the other waits for that.
# flow: readinto a mapping made before; one byte of no dump through a pipe; the parent sends out of its own mapping.
# tools: python3
# expect: sent counted port medium
. "$CORPUS/lib.sh"
mkdump
sink tcp
python3 - "$D" "$SINK" "$PORT" <<'CODE' || fail "shared memory"
import mmap, os, socket, sys, time
size = os.stat(sys.argv[1]).st_size
room = os.memfd_create("room")
os.ftruncate(room, size)
memory = mmap.mmap(room, size)
out, into = os.pipe()
child = os.fork()
if child == 0:
    with open(sys.argv[1], "rb", 0) as dump:
        view, at = memoryview(memory), 0
        while got := dump.readinto(view[at : at + 100000]):
            at += got
    os.write(into, b"x")
    time.sleep(5)
    os._exit(0)
sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
os.read(out, 1)
time.sleep(1)
sink.sendall(memory)
CODE
sunk "$(stat -c %s "$D")"
