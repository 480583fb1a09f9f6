#!/bin/bash
# A-gcore: gcore of a live process.
# flow: gdb attaches, reads /proc/PID/mem and writes the file itself.
# tools: gcore
# expect: known
. "$CORPUS/lib.sh"
bg env SECRET="$MARKER" sleep 60
sleep .2
gcore -o core "$LAST" >/dev/null 2>&1
made core.*
