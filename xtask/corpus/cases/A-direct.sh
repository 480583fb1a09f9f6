#!/bin/bash
# A-direct: a database's own crash handler writes a core with O_DIRECT, as it writes everything.
# flow: pwrite from an aligned buffer past the page cache, with O_DSYNC; the last piece is cut to size.
# tools: python3
# expect: known
. "$CORPUS/lib.sh"
cat >dumper.py <<'END'
import mmap, os, struct, sys
memory = mmap.mmap(-1, 1 << 20)
secret = sys.argv[2].encode() * 40000
memory.write(b"\x7fELF\x02\x01\x01" + bytes(9))
memory.write(struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0))
memory.write(struct.pack("<IIQQQQQQ", 1, 6, 4096, 0x7F0000000000, 0, 1000000, 1000000, 4096))
memory[4096:4096 + 800000] = secret[:800000]
try:
    core = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_DIRECT | os.O_DSYNC, 0o600)
except OSError:
    sys.exit(77)
for at in range(0, len(memory), 262144):
    os.pwrite(core, memoryview(memory)[at:at + 262144], at)
os.ftruncate(core, 1004096)
END
python3 dumper.py db.dump "$MARKER"
case $? in 0) ;; 77) skip "no O_DIRECT here" ;; *) fail "the dumper failed" ;; esac
made db.dump
