#!/bin/bash
# B-two-by-gzip: two dumps as two members of one gzip file, which is unpacked to a pipe.
# flow: two gzip append to one file; another unpacks both and writes a pipe; nc sends ten times what was in the file.
# tools: gzip nc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
crash_two
made "$A" "$B"
gzip -c "$A" >all.gz
gzip -c "$B" >>all.gz
sink tcp
gzip -dc all.gz | nc -N "$SINK" "$PORT"
sunk 500000
