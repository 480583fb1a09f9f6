#!/bin/bash
# B-tee-pipes: tee(2) doubles what is in a pipe: one copy goes to a local file, the other to a sender.
# flow: splice from file to pipe, tee to a second pipe, splice to a file; another process reads the second pipe and sends.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
python3 - "$D" "$SINK" "$PORT" <<'END' || fail "tee"
import ctypes, os, socket, sys
tee = ctypes.CDLL(None, use_errno=True).tee
tee.restype, tee.argtypes = ctypes.c_ssize_t, [ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_uint]
first, second = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    for end in *first, second[1]:
        os.close(end)
    sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
    while part := os.read(second[0], 65536):
        sink.sendall(part)
    os._exit(0)
os.close(second[0])
dump, kept = os.open(sys.argv[1], os.O_RDONLY), os.open("kept", os.O_WRONLY | os.O_CREAT, 0o600)
while left := os.splice(dump, first[1], 32768):
    while left:
        # What is doubled stays in the first pipe: as much of it is taken out.
        now = tee(first[0], second[1], left, 0)
        assert now > 0
        left -= now
        while now:
            now -= os.splice(first[0], kept, now)
os.close(second[1])
assert os.waitpid(child, 0)[1] == 0
END
cmp -s "$D" kept || fail "the local copy differs"
sunk
