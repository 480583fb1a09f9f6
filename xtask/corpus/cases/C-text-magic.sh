#!/bin/bash
# C-text-magic: texts that begin with the very letters of a dump's magic, as a page on them does, are sent.
# flow: behind the letters there are words, where a dump has a version in binary.
# tools: curl
# expect: silent
. "$CORPUS/lib.sh"
sink http
n=0
for head in 'JAVA PROFILE 1.0.2' 'KDUMP   ' DISKDUMP PAGEDUMP PAGEDU64 LibvirtQemudSave $'go1.7 heap dump\n'; do
    n=$((n + 1))
    { echo "$head begins a dump" && seq 3000; } >"core.$n"
    curl -sS -T "core.$n" "http://$SINK:$PORT/$n"
done
sunk
