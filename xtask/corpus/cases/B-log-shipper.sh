#!/bin/bash
# B-log-shipper: a program writes a hex dump of the core into its log, and the log goes to a collector line by line.
# flow: od, pipe, sed, the log, which has other lines, too; tail -F has had the log open since before, a pipe, nc.
# tools: od sed nc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
sink tcp
echo 'app[77]: started' >app.log
bg sleep 30
stop=$LAST
bg bash -c 'tail -n +1 -F --pid="$1" app.log 2>/dev/null | nc -N "$2" "$3"' shipper "$stop" "$SINK" "$PORT"
shipper=$LAST
sleep 1
mkdump
od -Ax -v -tx1z "$D" | sed 's/^/app[77]: DEBUG /' >>app.log
echo 'app[77]: stopped' >>app.log
sleep 2
kill "$stop"
wait "$shipper"
sunk 1000000
