#!/bin/bash
# A-node-signal: node --heapsnapshot-signal=SIGUSR2.
# flow: as A-node-heapsnapshot, in a process that goes on.
# tools: node
# expect: known
. "$CORPUS/lib.sh"
bg node --heapsnapshot-signal=SIGUSR2 -e 'setTimeout(() => {}, 60000)'
sleep 1
kill -USR2 "$LAST"
until_true eval 'ls Heap.*.heapsnapshot >/dev/null'
settled Heap.*.heapsnapshot
made Heap.*.heapsnapshot
