#!/bin/bash
# B-busybox-httpd: busybox httpd serves the folder of the dump, the sink zone pulls.
# flow: sendfile on an accepted connection.
# tools: busybox curl
# expect: sent counted any-port critical
. "$CORPUS/lib.sh"
busybox httpd --help 2>&1 | grep -q Usage || skip "this busybox has no httpd"
mkdump
bg busybox httpd -f -p "$SOURCE:$PORT" -h dumps
until_true listens "$SOURCE" "$PORT"
pull "http://$SOURCE:$PORT/$(basename "$D")"
