#!/bin/bash
# B-one-connection: a shell opens a connection, and two programs send a dump each by it, one after the other.
# flow: the connection is inherited; each sender is gone before its bytes have found their receiver.
# tools: bash
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdir first second
crash first
crash second
made first/core* second/core*
sink tcp
exec 5<>"/dev/tcp/$SINK/$PORT"
cat first/core* >&5
sleep 1
cat second/core* >&5
exec 5>&-
sunk
