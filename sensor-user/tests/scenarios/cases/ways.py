# Brings a file to an address by TCP, in one of several ways. Ends with 77 when a call got EPERM, and with 0 when all went.
# After ring.py and narrow.py.
import socket, sys, time
mode, path, host, port = sys.argv[1:5]
size = os.stat(path).st_size
def connected(): return socket.create_connection((host, int(port)))
def read(): return open(path, 'rb').read()
def child(work):
    pid = os.fork()
    if pid == 0: os._exit(ended(work))
    return pid
def ended(work):
    try: work()
    except PermissionError: return 77
    return 0
def wait(pid): raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

def send():
    data = read()
    connected().sendall(data)
def connect_before_taint():
    s = connected()
    s.sendall(read())
def sendfile():
    s, at = connected(), 0
    file = os.open(path, os.O_RDONLY)
    while n := os.sendfile(s.fileno(), file, at, size - at): at += n
def splice():
    s, file = connected(), os.open(path, os.O_RDONLY)
    r, w = os.pipe()
    while n := os.splice(file, w, 1 << 16):
        while n: n -= os.splice(r, s.fileno(), n)
def mmap_write():
    s, at = connected(), 0
    m = mmap.mmap(os.open(path, os.O_RDONLY), 0, prot=mmap.PROT_READ)
    while at < size: at += os.write(s.fileno(), m[at:at + 65536])
def io_uring():
    s, data = connected(), read()
    _, go = make_ring()
    buffer, at = ctypes.create_string_buffer(data, len(data)), 0
    while at < len(data): at += go(26, s.fileno(), 0, ctypes.addressof(buffer) + at, len(data) - at)
def tee_chain():
    s, file = connected(), os.open(path, os.O_RDONLY)
    (a, b), (c, d) = os.pipe(), os.pipe()
    libc = ctypes.CDLL(None, use_errno=True)
    while n := os.splice(file, b, 1 << 15):
        left = n
        while left:
            copied = libc.tee(a, d, ctypes.c_size_t(left), 0)
            if copied < 0: raise OSError(ctypes.get_errno(), 'tee')
            while copied:
                moved = os.splice(c, s.fileno(), copied)
                os.read(a, moved)
                copied -= moved
                left -= moved
def unix_proxy():
    s, (mine, its) = connected(), socket.socketpair()
    def proxy():
        mine.close()
        while data := its.recv(1 << 16): s.sendall(data)
    pid = child(proxy)
    s.close()
    its.close()
    try: mine.sendall(read())
    except BrokenPipeError: pass
    mine.close()
    wait(pid)
def fd_passing():
    s, (mine, its) = connected(), socket.socketpair()
    def taker():
        _, files, _, _ = socket.recv_fds(its, 1, 1)
        while data := os.read(files[0], 1 << 16): s.sendall(data)
    pid = child(taker)
    s.close()
    socket.send_fds(mine, [b'x'], [os.open(path, os.O_RDONLY)])
    wait(pid)
def forked_child():
    s, data = connected(), read()
    wait(child(lambda: s.sendall(data)))
# Beside the ten: a false name, of which TCP takes no notice.
def false_name():
    s = connected()
    for at in range(0, size, 1 << 16): s.sendto(read()[at:at + (1 << 16)], ('127.0.0.1', 9))
# And datagrams, to an address that only the call names.
def datagrams():
    s, data = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), read()
    for at in range(0, 10000, 1000): s.sendto(data[at:at + 1000], (host, int(port)))
# To an address that was named before there was a dump: the datagram goes there, whatever its other pieces name.
def corked():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(b'x', socket.MSG_MORE, (host, int(port)))
    s.sendto(read()[:10000], 0, ('127.0.0.1', 9))
# As one call of which the second message goes where the first one named: the kernel asks about it no more.
def corked_many():
    s, data = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), ctypes.create_string_buffer(read()[:10000], 10000)
    s.sendto(b'x', socket.MSG_MORE, ('127.0.0.1', 9))
    name = ctypes.create_string_buffer(struct.pack('=H', 2) + struct.pack('>H', int(port)) + socket.inet_aton(host) + bytes(8), 16)
    parts = [(ctypes.c_uint64 * 2)(ctypes.addressof(data), length) for length in (0, 10000)]
    whole = b''.join(struct.pack('<QIIQQQQiIII', ctypes.addressof(name), 16, 0, ctypes.addressof(p), 1, 0, 0, 0, 0, 0, 0) for p in parts)
    vector = ctypes.create_string_buffer(whole, len(whole))
    call(307, s.fileno(), ctypes.addressof(vector), 2, 0)
# What has no port, whatever is named: an echo request.
def echo():
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    s.sendto(b'\x08\0\0\0\0\1\0\1' + read()[:1000], (host, int(port)))
# A ring's request waits at an empty pipe before there is a mark; then somebody else fills it.
def waiting_splice():
    s, (r, w) = connected(), os.pipe()
    def fill():
        time.sleep(1)
        os.write(w, read()[:10000])
    if os.fork() == 0:
        fill()
        os._exit(0)
    ring, go = make_ring()
    go(30, s.fileno(), (1 << 64) - 1, (1 << 64) - 1, 10000, other=r)
# By the 32-bit entry, where sendfile(2) has another number.
def narrow_sendfile():
    s, file, left = connected(), os.open(path, os.O_RDONLY), size
    while left:
        n = narrow(187, s.fileno(), file, 0, left)
        if n < 0: raise OSError(-n, 'sendfile')
        left -= n
def opened(): os.close(os.open(path, os.O_RDONLY))
# By a descriptor that was given.
def mapped(): mmap.mmap(0, size, prot=mmap.PROT_READ)

sys.exit(ended(globals()[mode]))
