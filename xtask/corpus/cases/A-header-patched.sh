#!/bin/bash
# A-header-patched: a dumper allocates its file on disk, lets the kernel fill it from a memfd, and writes the header last.
# flow: fallocate, copy_file_range or sendfile from 4096 on, fdatasync, a pause, pwrite at 0: no write call before that one.
# tools: python3 curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
cat >dumper.py <<'END'
import os, struct, sys, time
secret = sys.argv[2].encode() * 30000
memory = os.memfd_create("memory")
os.write(memory, secret)
os.lseek(memory, 0, os.SEEK_SET)
core = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
os.posix_fallocate(core, 0, 4096 + len(secret))
os.lseek(core, 4096, os.SEEK_SET)
left = len(secret)
while left:
    left -= os.sendfile(core, memory, None, left)
os.fdatasync(core)
time.sleep(.3)
head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
head += struct.pack("<IIQQQQQQ", 1, 6, 4096, 0x7F0000000000, 0, len(secret), len(secret), 4096)
os.pwrite(core, head, 0)
END
python3 dumper.py state.bin "$MARKER" || fail "the dumper failed"
readelf -h state.bin | grep 'Type: .*CORE' || fail "that is no core"
made state.bin
out state.bin
