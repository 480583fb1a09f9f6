#!/bin/bash
# A-createdump: createdump, which comes with .NET, of a live process.
# flow: createdump attaches, reads /proc/PID/mem and writes an ELF core itself.
# tools: createdump
# expect: known
. "$CORPUS/lib.sh"
bg env SECRET="$MARKER" sleep 60
sleep .2
createdump -u -f "$W/coredump" "$LAST"
made coredump
