# An io_uring of four entries: `call` is the raw system call, `make_ring` gives the ring's descriptor and `go`, which makes
# one request and waits for what comes of it.
import ctypes, mmap, os, struct
def call(*numbers):
    result = ctypes.CDLL(None, use_errno=True).syscall(*map(ctypes.c_long, numbers))
    if result < 0: raise OSError(ctypes.get_errno(), 'io_uring')
    return result
def make_ring(poll=False):
    params = (ctypes.c_uint32 * 30)()
    params[2], params[4] = (2 if poll else 0), 1000
    ring = call(425, 4, ctypes.addressof(params))
    sq, cq = params[10:17], params[20:26]
    rings = mmap.mmap(ring, max(sq[6] + params[0] * 4, cq[5] + params[1] * 16))
    entries = mmap.mmap(ring, params[0] * 64, offset=0x10000000)
    get = lambda at: struct.unpack_from('<I', rings, at)[0]
    put = lambda at, value: struct.pack_into('<I', rings, at, value & 0xffffffff)
    def go(code, file, at, address, length, flags=0, other=0):
        tail = get(sq[1])
        index = tail & get(sq[2])
        struct.pack_into('<BBHiQQIIQHHiQQ', entries, index * 64, code, flags, 0, file, at, address, length, 0, 1, 0, 0, other, 0, 0)
        put(sq[6] + index * 4, index)
        put(sq[1], tail + 1)
        call(426, ring, 0 if poll else 1, 1, 3 if poll else 1, 0, 0)
        head = get(cq[0])
        result = struct.unpack_from('<i', rings, cq[5] + (head & get(cq[2])) * 16 + 8)[0]
        put(cq[0], head + 1)
        if result < 0: raise OSError(-result, 'request')
        return result
    return ring, go
