#!/bin/bash
# B-waiting-splice: a relay has waited in splice(2) since before anything crashed, and its connection stands.
# flow: cat writes a FIFO; splice from the FIFO to a second pipe, by another process from there to the socket: both began before the dump was born.
# tools: python3 mkfifo cat
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkfifo jobs
sink tcp
cat >relay.py <<'CODE'
import os, socket, sys
out, into = os.pipe()
if os.fork() == 0:
    os.close(out)
    jobs = os.open("jobs", os.O_RDONLY)
    while os.splice(jobs, into, 65536):
        pass
    os._exit(0)
os.close(into)
sink = socket.create_connection((sys.argv[1], int(sys.argv[2])))
open("up", "w").close()
while os.splice(out, sink.fileno(), 65536):
    pass
CODE
bg python3 relay.py "$SINK" "$PORT"
relay=$LAST
until_true [ -e up ]
# Opened for writing, so that the relay is in its call.
exec 7>jobs
sleep 1
mkdump
cat "$D" >&7
exec 7>&-
wait "$relay" || fail "the relay failed"
sunk "$(stat -c %s "$D")"
