#!/bin/bash
# B-emptied-and-written: a file that held a dump is emptied by dd, which writes another one to it.
# flow: dd empties it at the open and writes 64 KiB; curl reads and sends.
# tools: dd curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
crash_two
made "$B"
sink http
dd status=none if="$A" of=current bs=64k
curl -sS -o /dev/null -T current "http://$SINK:$PORT/up/"
until_true [ -s sink.log ]
sleep 1
: >sink.log
dd status=none if="$B" of=current bs=64k
curl -sS -o /dev/null -T current "http://$SINK:$PORT/up/"
sunk 500000
