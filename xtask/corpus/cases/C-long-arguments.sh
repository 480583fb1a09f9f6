#!/bin/bash
# C-long-arguments: a shell that has looked at a dump's head executes a program with many arguments, which sends.
# flow: what is on the command line are names, and more of them than was read of the dump.
# tools: curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sink http
seq 3000 >business
magic=$(head -c 4 "$D" | tail -c 3)
echo "$magic" >seen
# shellcheck disable=SC2046 # many words are what this is about
curl -sS -T business $(printf ' -H X-Field-%d:business-of-the-day' $(seq 80)) "http://$SINK:$PORT/up"
sunk
