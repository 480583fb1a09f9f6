#!/bin/bash
# B-two-by-tar: tar of a folder with two dumps, through a pipe to nc.
# flow: tar reads one after the other into one pipe; nc reads them as one stream, and sends it.
# tools: nc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdir folder
crash folder
crash folder
made folder/core*
sink tcp
tar c folder | nc -N "$SINK" "$PORT"
sunk
