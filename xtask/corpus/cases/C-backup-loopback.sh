#!/bin/bash
# C-backup-loopback: a backup to a service on loopback, in the same zone.
# flow: tar, pipe, nc, loopback: the whole dump moves, and nothing leaves.
# tools: tar nc python3
# expect: silent
# set: fast
. "$CORPUS/lib.sh"
mkdump
bg python3 "$CORPUS/sink.py" tcp 127.0.0.1 $((PORT + 1)) "$W/sink.log" "$MARKER"
until_true [ -e sink.log.ready ]
tar c dumps | nc -N 127.0.0.1 $((PORT + 1))
sunk
