#!/bin/bash
# A-vm-scatter: a profiler collects the live objects of another process, a few at a time, while another dump lies there.
# flow: process_vm_readv of 64 places of 1 KiB by each call; what came is written through a buffer.
# tools: python3
# expect: known
. "$CORPUS/lib.sh"
mkdump
bg python3 -c 'import ctypes, mmap, os, sys, time
memory = mmap.mmap(-1, 1 << 20)
memory.write((sys.argv[1].encode() * 60000)[:1 << 20])
with open("where.new", "w") as where:
    print(ctypes.addressof(ctypes.c_char.from_buffer(memory)), file=where)
os.rename("where.new", "where")
time.sleep(60)' "$MARKER"
until_true [ -e where ]
python3 - "$LAST" "$(cat where)" objects.bin <<'END'
import ctypes, os, sys
pid, start = int(sys.argv[1]), int(sys.argv[2])


class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


call = ctypes.CDLL(None, use_errno=True).process_vm_readv
call.restype = ctypes.c_ssize_t
memory = ctypes.create_string_buffer(65536)
near = Part(ctypes.addressof(memory), len(memory))
with open(sys.argv[3], "wb") as kept:
    for turn in range(4):
        far = (Part * 64)(*(Part(start + turn * 262144 + n * 4096, 1024) for n in range(64)))
        got = call(pid, ctypes.byref(near), ctypes.c_ulong(1), far, ctypes.c_ulong(64), ctypes.c_ulong(0))
        assert got == 65536, (got, ctypes.get_errno())
        kept.write(memory.raw)
END
[ $? = 0 ] || fail "nothing could be read"
grep -q "$MARKER" objects.bin || fail "that is something else"
made objects.bin
