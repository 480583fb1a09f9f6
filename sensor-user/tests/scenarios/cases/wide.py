# wide(number, ...) makes a system call of x86-64 with all 64 bits of its registers as they are given.
import ctypes
def wide(number, *arguments):
    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    code = bytes.fromhex('488b07488b7710488b57184c8b57204c8b47284c8b4f30488b7f080f05c3')
    at = libc.mmap(None, 4096, 7, 0x22, -1, ctypes.c_long(0))
    ctypes.memmove(at, code, len(code))
    words = (ctypes.c_uint64 * 7)(number, *arguments)
    return ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p)(at)(ctypes.addressof(words))
