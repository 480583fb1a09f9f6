#!/bin/bash
# A-tmpfile: a crash reporter writes a core to a file without a name and links it in when it is whole and on the disk.
# flow: O_TMPFILE, buffered writes, fsync, an extended attribute, linkat of /proc/self/fd/N: there is never half a core.
# tools: python3
# expect: known
. "$CORPUS/lib.sh"
mkdir spool
cat >reporter.py <<'END'
import os, struct, sys
try:
    core = os.open("spool", os.O_TMPFILE | os.O_RDWR, 0o640)
except OSError:
    sys.exit(77)
secret = sys.argv[1].encode() * 20000
with open(core, "wb", buffering=4096, closefd=False) as out:
    out.write(b"\x7fELF\x02\x01\x01" + bytes(9))
    out.write(struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0))
    out.write(struct.pack("<IIQQQQQQ", 1, 6, 4096, 0x7F0000000000, 0, len(secret), len(secret), 4096))
    out.write(bytes(4096 - 64 - 56))
    out.write(secret)
os.fsync(core)
try:
    os.setxattr(core, "user.crash.signal", b"6")
except OSError as error:
    print(error)
spool = os.open("spool", os.O_RDONLY | os.O_DIRECTORY)
# Only with a folder's descriptor python follows the link in /proc.
os.link(f"/proc/self/fd/{core}", "2026-11-28.crash", dst_dir_fd=spool, follow_symlinks=True)
END
python3 reporter.py "$MARKER"
case $? in 0) ;; 77) skip "no O_TMPFILE here" ;; *) fail "the reporter failed" ;; esac
made spool/2026-11-28.crash
