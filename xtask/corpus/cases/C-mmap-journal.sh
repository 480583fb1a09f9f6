#!/bin/bash
# C-mmap-journal: a log daemon keeps its journal in a mapping of 8 MiB, as journald does; one line is a core's checksum; the journal is sent.
# flow: the daemon gets 90 bytes made from the dump, and 3,000 lines of others; a reader of the journal sends what has come since.
# tools: python3
# expect: silent
. "$CORPUS/lib.sh"
mkdump
cat >journald.py <<'END'
import mmap, os, socket
journal = open("system.journal", "w+b")
journal.truncate(8 << 20)
memory, at = mmap.mmap(journal.fileno(), 8 << 20), 8
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind("log")
while line := log.recv(8192):
    memory[at:at + len(line) + 1] = line + b"\n"
    at += len(line) + 1
    memory[:8] = at.to_bytes(8, "little")
END
bg python3 journald.py
until_true [ -S log ]
sink tcp
log 'for i in range(500): log.send(b"<13>Nov 27 12:00:00 web[77]: request %d served in 3 ms" % i)'
log 'log.send(b"core seen, sha256 " + hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest().encode())' "$D"
sleep 1
log 'for i in range(3000): log.send(b"<13>Nov 27 12:00:00 web[77]: request %d served in 3 ms" % i)'
sleep .5
python3 - "$SINK" "$PORT" <<'END'
import mmap, socket, sys
with open("system.journal", "rb") as file:
    memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
end = int.from_bytes(memory[:8], "little")
sink = socket.create_connection((sys.argv[1], int(sys.argv[2])))
for at in range(8, end, 65536):
    sink.sendall(memory[at:min(end, at + 65536)])
END
sunk 150000
