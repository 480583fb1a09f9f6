# narrow(number, ...) makes a system call by `int 0x80`, by a few instructions that load its registers.
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
def below(n, protection): return libc.mmap(None, n, protection, 0x62, -1, 0)
def narrow(number, *arguments):
    code = bytes.fromhex('53558b078b5f048b4f088b570c8b77108b6f188b7f14cd805d5bc3')
    at = below(4096, 7)
    ctypes.memmove(at, code, len(code))
    words = (ctypes.c_uint32 * 7)(number, *arguments)
    result = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(at)(ctypes.addressof(words))
    libc.munmap(ctypes.c_void_p(at), 4096)
    return result
