#!/bin/bash
# C-nginx-buffered-later: nginx serves a core to a colleague of its own zone, and seven seconds later a download to the sink zone.
# flow: pread and writev through the memory of one worker, which has passed on all that it read of the dump; then another file.
# tools: nginx curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
chmod 755 dumps
head -c 400000 /dev/urandom >dumps/download.bin
echo ok >dumps/health
nginx_with "sendfile off; server { listen $SOURCE:$PORT; root $W/dumps; }"
until_true serves "$PORT"
[ "$(curl -sS "http://$SOURCE:$PORT/$(basename "$D")" | sha256sum)" = "$(sha256sum <"$D")" ] || fail "not the dump"
for _ in 1 2 3 4 5 6 7; do
    sleep 1
    curl -sS "http://$SOURCE:$PORT/health" | grep -q ok || fail "not well"
done
pull "http://$SOURCE:$PORT/download.bin"
