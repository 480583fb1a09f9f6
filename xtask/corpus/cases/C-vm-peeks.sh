#!/bin/bash
# C-vm-peeks: a sampling profiler looks at pieces of a service's memory, 800 times, and sends its samples.
# flow: process_vm_readv of four pieces of 256 bytes, as of interpreter frames; no walk over memory.
# tools: python3
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sha256sum "$D" >/dev/null
sink tcp
bg python3 -c 'import ctypes, time
memory = ctypes.create_string_buffer(4 << 20)
print(ctypes.addressof(memory), file=open("where.new", "w"), flush=True)
__import__("os").rename("where.new", "where")
time.sleep(30)'
until_true [ -s where ]
python3 - "$LAST" "$(cat where)" "$SINK" "$PORT" <<'END'
import ctypes, random, socket, sys, time
pid, base = int(sys.argv[1]), int(sys.argv[2])


class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


sink = socket.create_connection((sys.argv[3], int(sys.argv[4])))
call = ctypes.CDLL(None).process_vm_readv
memory = ctypes.create_string_buffer(1024)
for n in range(800):
    near = Part(ctypes.addressof(memory), 1024)
    far = (Part * 4)(*[Part(base + random.randrange((4 << 20) - 256), 256) for _ in range(4)])
    got = call(pid, ctypes.byref(near), ctypes.c_ulong(1), far, ctypes.c_ulong(4), ctypes.c_ulong(0))
    assert got == 1024, got
    sink.sendall(b"sample %d: main;serve;handle;parse_%d 1\n" % (n, n % 7) * 5)
    time.sleep(.002)
END
sunk 100000
