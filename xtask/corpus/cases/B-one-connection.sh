#!/bin/bash
# B-one-connection: a shell opens a connection, and two programs send a dump each by it, one after the other.
# flow: the connection is inherited; each sender is gone before its bytes have found their receiver.
# tools: bash
# expect: sent counted port critical
. "$CORPUS/lib.sh"
crash_two
made "$A" "$B"
sink tcp
exec 5<>"/dev/tcp/$SINK/$PORT"
cat "$A" >&5
sleep 1
cat "$B" >&5
exec 5>&-
sunk
