#!/bin/bash
# C-daemon-before: a daemon keeps sending heartbeats while a dump is born and read by others.
# flow: python sends what it makes; cat reads the dump.
# tools: python3
# expect: silent
# set: fast
. "$CORPUS/lib.sh"
sink tcp
bg python3 -c 'import socket, sys, time
sink = socket.create_connection((sys.argv[1], int(sys.argv[2])))
for number in range(60):
    sink.sendall(b"heartbeat %d\n" % number * 10)
    time.sleep(.05)' "$SINK" "$PORT"
heart=$LAST
mkdump
cat "$D" >/dev/null
wait "$heart"
sunk
