#!/bin/bash
# C-shell-substitution: a shell takes a core's checksum by command substitution, and then sends a log by its own builtins.
# flow: 100 bytes made from the dump come by a pipe into the shell, which is no other program when it sends 400 KB of a log.
# tools: sha256sum
# expect: silent
. "$CORPUS/lib.sh"
mkdump
seq 60000 >app.log
sink tcp
exec 5<>"/dev/tcp/$SINK/$PORT"
sum=$(sha256sum "$D")
log=$(<app.log)
echo "one core, $sum" >&5
printf '%s\n' "$log" >&5
exec 5>&-
sunk 300000
