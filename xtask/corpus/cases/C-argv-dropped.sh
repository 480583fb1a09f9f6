#!/bin/bash
# C-argv-dropped: a shell gets the dump's text as an argument, and executes programs without it: one sends.
# flow: what the shell holds is on its command line only, and exec drops that.
# tools: curl base64
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sink http
seq 20000 >numbers
# shellcheck disable=SC2016 # the inner shell's own
sh -c 'env NAME=value timeout 20 curl -sS -T numbers "$2"; true' sh \
    "$(head -c 60000 "$D" | base64 -w0)" "http://$SINK:$PORT/up"
sunk
