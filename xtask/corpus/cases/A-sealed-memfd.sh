#!/bin/bash
# A-sealed-memfd: a core to a helper that keeps it in sealed memory and hands that to a crash service, which maps and sends it.
# flow: kernel, pipe; splice into a memfd, seals; SCM_RIGHTS by a SEQPACKET socket; the service maps it read-only and sends
#   from the mapping, in a process forked for it.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
cat >service.py <<'END'
import array, mmap, os, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.bind("service.sock")
server.listen()
open("ready", "w").close()
client = server.accept()[0]
if os.fork() == 0:
    _, descriptors, _, _ = socket.recv_fds(client, 100, 1)
    size = os.fstat(descriptors[0]).st_size
    memory = mmap.mmap(descriptors[0], size, mmap.MAP_SHARED, mmap.PROT_READ)
    os.close(descriptors[0])
    sink = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    sink.sendall(memory)
    sink.close()
    open("done", "w").close()
    os._exit(0)
client.close()
os.wait()
END
sink tcp
bg python3 service.py "$SINK" "$PORT"
until_true [ -e ready ]
cat >helper <<END
#!$(python3 -c 'import sys; print(sys.executable)')
import fcntl, os, socket
open("$W/pipe", "w").write(os.readlink("/proc/self/fd/0"))
memory = os.memfd_create("core", os.MFD_ALLOW_SEALING)
while os.splice(0, memory, 1 << 16):
    pass
fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
service = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
service.connect("$W/service.sock")
socket.send_fds(service, [b"core"], [memory])
END
crash_to_helper
until_true [ -e done ]
note "dump $(cat pipe)"
sunk 100000
