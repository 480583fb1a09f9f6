#!/bin/bash
# C-web-head: the sink zone asks nginx for the dump's head (HTTP HEAD).
# flow: nginx opens and looks, reads nothing and sends its own words.
# tools: nginx curl
# expect: silent
# set: fast
. "$CORPUS/lib.sh"
mkdump
chmod 755 dumps
chmod 644 "$D"
nginx_up dumps
there curl -sSI "http://$SOURCE:$PORT/$(basename "$D")" | head -1
