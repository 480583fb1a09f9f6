#!/bin/bash
# B-nginx-ranges: a download accelerator fetches four ranges of the dump at once.
# flow: threads of nginx read parts of the file (aio threads, no sendfile); four accepted connections make the whole.
# tools: nginx curl
# expect: sent counted any-port critical
. "$CORPUS/lib.sh"
nginx -V 2>&1 | grep -q with-threads || skip "this nginx has no threads"
mkdump
chmod 755 dumps
chmod 644 "$D"
nginx_with "sendfile off; aio threads; output_buffers 2 64k; server { listen $SOURCE:$PORT; root $W/dumps; }"
until_true listens "$SOURCE" "$PORT"
size=$(stat -c %s "$D") fetches=()
for part in 0 1 2 3; do
    from=$((size * part / 4)) to=$((size * (part + 1) / 4 - 1))
    there curl -sS -r "$from-$to" -o "part.$part" "http://$SOURCE:$PORT/$(basename "$D")" &
    fetches+=($!)
done
wait "${fetches[@]}"
cat part.? >whole
same whole
