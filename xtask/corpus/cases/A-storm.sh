#!/bin/bash
# A-storm: all sixteen workers of a service crash at once, as when a bad request is tried again by each.
# flow: sixteen cores are written side by side into one folder.
# tools: sleep
# expect: known
. "$CORPUS/lib.sh"
mkdir dumps
core_pattern core.%p
workers=()
for _ in $(seq 16); do
    (cd dumps && ulimit -c unlimited && exec env SECRET="$MARKER" sleep 60) &
    workers+=($!)
done
sleep .7
kill -ABRT "${workers[@]}"
wait "${workers[@]}" 2>/dev/null
for worker in "${workers[@]}"; do made "dumps/core.$worker"; done
