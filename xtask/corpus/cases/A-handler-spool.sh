#!/bin/bash
# A-handler-spool: a core to a helper that hands it to a crash service, one of whose workers stores it.
# flow: kernel, pipe; splice(2) to a unix socket; a worker that was forked before anything crashed receives into one
#   buffer and writes past the page cache.
# tools: python3
# expect: known
. "$CORPUS/lib.sh"
python3 -c 'import os; os.splice' || skip "this python has no os.splice"
mkdir dumps
cat >service.py <<'END'
import mmap, os, socket, sys, time
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
for _ in range(3):
    if os.fork() == 0:
        client = server.accept()[0]
        memory, size = mmap.mmap(-1, 8 << 20), 0
        while got := client.recv_into(memoryview(memory)[size:]):
            size += got
        whole = size & ~4095
        name = f"dumps/{os.getpid()}.core"
        core = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_DIRECT, 0o600)
        os.write(core, memoryview(memory)[:whole])
        os.close(core)
        core = os.open(name, os.O_WRONLY)
        os.pwrite(core, memory[whole:size], whole)
        os.close(core)
        os.symlink(name, "done")
        os._exit(0)
open("ready", "w").close()
time.sleep(60)
END
bg python3 service.py "$W/socket"
until_true [ -e ready ]
undo "pkill -P $LAST"
cat >helper <<END
#!$(python3 -c 'import sys; print(sys.executable)')
import os, socket
service = socket.socket(socket.AF_UNIX)
service.connect('$W/socket')
while os.splice(0, service.fileno(), 65536):
    pass
END
crash_to_helper
until_true [ -L done ]
made done
