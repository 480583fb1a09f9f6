# Copies file `a` to file `b` through an io_uring; `mode` is plain, fixed (registered files) or sqpoll (these as well, and a
# kernel thread submits). After ring.py.
fixed = mode != 'plain'
ring, go = make_ring(mode == 'sqpoll')
buffer = ctypes.create_string_buffer(1 << 16)
files = [os.open(a, os.O_RDONLY), os.open(b, os.O_WRONLY | os.O_CREAT)]
if fixed:
    table = (ctypes.c_int32 * 2)(*files)
    call(427, ring, 2, ctypes.addressof(table), 2)
    files = [0, 1]
at = 0
while n := go(22, files[0], at, ctypes.addressof(buffer), 1 << 16, fixed):
    go(23, files[1], at, ctypes.addressof(buffer), n, fixed)
    at += n
