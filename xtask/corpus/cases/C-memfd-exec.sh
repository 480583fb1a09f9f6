#!/bin/bash
# C-memfd-exec: a launcher copies a program into sealed memory and executes that, as runc does with itself; it uploads an export.
# flow: sendfile of an ELF program to a memfd, fexecve; the new program reads and sends a file.
# tools: python3 curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sha256sum "$D" >/dev/null
seq 60000 >export
sink http
python3 - "http://$SINK:$PORT/up" <<'END'
import fcntl, os, shutil, sys
program = os.open(shutil.which("curl"), os.O_RDONLY)
memory = os.memfd_create("cloned:curl", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
at, size = 0, os.fstat(program).st_size
while at < size:
    at += os.sendfile(memory, program, at, size - at)
fcntl.fcntl(memory, fcntl.F_ADD_SEALS, 15)
os.execve(memory, ["curl", "-sS", "-o", "/dev/null", "-T", "export", sys.argv[1]], os.environ)
END
sunk 300000
