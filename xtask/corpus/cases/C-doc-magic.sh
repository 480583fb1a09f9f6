#!/bin/bash
# C-doc-magic: texts that quote the magic of dumps.
# flow: curl reads and sends prose, and JSON that begins like a heap snapshot.
# tools: curl
# expect: silent
# set: fast
. "$CORPUS/lib.sh"
{ echo 'JAVA PROFILE settings are described here' && seq 1000; } >profile.txt
{ echo 'MDMP is the magic of minidumps' && seq 1000; } >minidump.txt
{ echo 'makedumpfile is a tool' && seq 1000; } >makedumpfile.txt
echo '{"snapshot":{"id":"snap-1","volume":"v"}}' >disks.json
sink http
for text in *.txt disks.json; do curl -sS -T "$text" "http://$SINK:$PORT/up" >/dev/null; done
sunk
