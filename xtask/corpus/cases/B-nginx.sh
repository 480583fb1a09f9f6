#!/bin/bash
# B-nginx: nginx serves the folder of the dump, the sink zone pulls.
# flow: sendfile from file to a connection that was accepted: the sender never connects.
# tools: nginx curl
# expect: sent counted any-port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
chmod 755 dumps
chmod 644 "$D"
nginx_up dumps
pull "http://$SOURCE:$PORT/$(basename "$D")"
