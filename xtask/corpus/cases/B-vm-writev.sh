#!/bin/bash
# B-vm-writev: who has read the dump puts it into the memory of a helper, which has the connection, by process_vm_writev.
# flow: process_vm_writev: the helper makes no call that takes anything in, and sends.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
helper_up
python3 - "$D" "$helper" "$(cat where)" <<'END' || fail "process_vm_writev"
import ctypes, sys


class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


dump, call = open(sys.argv[1], "rb").read(), ctypes.CDLL(None).process_vm_writev
call.restype = ctypes.c_ssize_t
call.argtypes = [ctypes.c_int, *[ctypes.POINTER(Part), ctypes.c_ulong] * 2, ctypes.c_ulong]
memory = ctypes.create_string_buffer(dump, len(dump))
near, far = Part(ctypes.addressof(memory), len(dump)), Part(int(sys.argv[3]), len(dump))
assert call(int(sys.argv[2]), ctypes.byref(near), 1, ctypes.byref(far), 1, 0) == len(dump)
END
: >go
wait "$helper" || fail "the helper failed"
sunk "$(stat -c %s "$D")"
