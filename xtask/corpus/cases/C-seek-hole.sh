#!/bin/bash
# C-seek-hole: a storage agent maps the holes of a core, has it read ahead, and reports to the sink zone.
# flow: O_PATH, SEEK_HOLE, SEEK_DATA, FIEMAP, fadvise, readahead: positions and pages in the kernel, no byte in the process.
# tools: python3
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sink tcp
python3 - "$D" "$SINK" "$PORT" <<'END'
import ctypes, fcntl, os, socket, struct, sys
sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
path = os.open(sys.argv[1], os.O_PATH)
size = os.fstat(path).st_size
dump = os.open("/proc/self/fd/%d" % path, os.O_RDONLY)
pieces, at = [], 0
while at < size:
    try:
        data = os.lseek(dump, at, os.SEEK_DATA)
    except OSError:
        break
    at = os.lseek(dump, data, os.SEEK_HOLE)
    pieces.append((data, at))
os.posix_fadvise(dump, 0, size, os.POSIX_FADV_WILLNEED)
ctypes.CDLL(None).readahead(dump, ctypes.c_long(0), ctypes.c_size_t(size))
try:
    extents = fcntl.ioctl(dump, 0xC020660B, struct.pack("QQIIII", 0, size, 0, 0, 0, 0) + bytes(64))
except OSError:
    extents = b""
# At its end, as one leaves it that measures by lseek.
os.lseek(dump, 0, os.SEEK_END)
for n in range(6000):
    sink.sendall(b"volume %d: %d bytes in %d pieces, last %r, %d\n" % (n, size, len(pieces), pieces[-1], len(extents)))
END
sunk 200000
