#!/bin/bash
# B-sysv: one process reads the dump into a System V message queue, another takes it out and sends.
# flow: msgsnd and msgrcv of 4 KiB.
# tools: gcc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
compiled sysvmq
sink tcp
./sysvmq "$D" "$SINK" "$PORT"
sunk
