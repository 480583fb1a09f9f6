#!/bin/bash
# B-two-by-proxy: two uploads through nginx as a reverse proxy that buffers requests.
# flow: curl, loopback; nginx writes a temporary file, reads that and sends, both by one connection to the upstream.
# tools: nginx curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
crash_two
made "$A" "$B"
sink http
nginx_with "
    client_max_body_size 0;
    client_body_buffer_size 16k;
    upstream vendor { server $SINK:$PORT; keepalive 4; }
    server {
        listen 127.0.0.1:$((PORT + 1));
        location / { proxy_pass http://vendor; proxy_http_version 1.1; proxy_set_header Connection ''; }
    }"
until_true serves $((PORT + 1))
curl -sS -o /dev/null -T "$A" "http://127.0.0.1:$((PORT + 1))/up/"
curl -sS -o /dev/null -T "$B" "http://127.0.0.1:$((PORT + 1))/up/"
until_true eval '[ "$(wc -l <sink.log)" -ge 2 ]'
sunk 500000
