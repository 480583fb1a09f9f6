#!/bin/bash
# C-crashed-process-connected: a process that talks to the sink zone is dumped by gcore, and goes on talking.
# flow: gdb reads its memory; the process itself never reads the dump.
# tools: gcore python3
# expect: silent
. "$CORPUS/lib.sh"
sink tcp
bg python3 -c 'import socket, sys, time
sink = socket.create_connection((sys.argv[1], int(sys.argv[2])))
for number in range(80):
    sink.sendall(b"business %d\n" % number * 10)
    time.sleep(.05)' "$SINK" "$PORT"
sleep .5
gcore -o core "$LAST" >/dev/null 2>&1
made core.*
wait "$LAST"
sunk
