#!/bin/bash
# C-fork-reader: a server opens a core and has a child look at it, by the descriptor that both have; its own number for it becomes an export's.
# flow: the child reads all of the dump; the parent has only had it open, and reads and sends another file by the same number.
# tools: python3
# expect: silent
. "$CORPUS/lib.sh"
mkdump
seq 60000 >export
sink tcp
python3 - "$D" "$SINK" "$PORT" <<'END'
import hashlib, os, socket, sys
sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
dump = os.open(sys.argv[1], os.O_RDONLY)
child = os.fork()
if child == 0:
    sink.close()
    digest = hashlib.sha256()
    while part := os.read(dump, 8192):
        digest.update(part)
    os._exit(0)
os.waitpid(child, 0)
assert os.lseek(dump, 0, os.SEEK_CUR) > 100000
os.close(dump)
export = os.open("export", os.O_RDONLY)
assert export == dump, (export, dump)
while part := os.read(export, 8192):
    sink.sendall(part)
END
sunk 300000
