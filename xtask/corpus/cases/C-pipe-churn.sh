#!/bin/bash
# C-pipe-churn: jobs of a scheduler take turns: one packs a core for the local archive, the next one uploads a report.
# flow: short pipelines; the kernel gives the memory of a pipe that carried the dump to the next one, which feeds curl.
# tools: gzip curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
seq 9000 >report
sink http
for _ in $(seq 15); do
    cat "$D" | gzip -1 | cat >archive.gz
    cat report | sort -R | curl -sS -T - "http://$SINK:$PORT/up" >/dev/null
done
cat report | cat | gzip -1 | cat >/dev/null
sunk 500000
