#!/bin/bash
# B-two-by-proxy: two uploads through nginx as a reverse proxy that buffers requests.
# flow: curl, loopback; nginx writes a temporary file, reads that and sends, both by one connection to the upstream.
# tools: nginx curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdir first second
crash first
CRASHER=/bin/bash crash second
A=$(ls -d "$W"/first/core*) B=$(ls -d "$W"/second/core*)
made "$A" "$B"
sink http
mkdir -p temp
cat >nginx.conf <<END
user root;
pid $W/nginx.pid;
daemon off;
worker_processes 1;
events {}
http {
    access_log off;
    client_max_body_size 0;
    client_body_buffer_size 16k;
    client_body_temp_path $W/temp;
    proxy_temp_path $W/temp;
    fastcgi_temp_path $W/temp;
    uwsgi_temp_path $W/temp;
    scgi_temp_path $W/temp;
    upstream vendor { server $SINK:$PORT; keepalive 4; }
    server {
        listen 127.0.0.1:$((PORT + 1));
        location / { proxy_pass http://vendor; proxy_http_version 1.1; proxy_set_header Connection ""; }
    }
}
END
bg nginx -p "$W" -e nginx.log -c "$W/nginx.conf"
until_true serves $((PORT + 1))
curl -sS -o /dev/null -T "$A" "http://127.0.0.1:$((PORT + 1))/up/"
curl -sS -o /dev/null -T "$B" "http://127.0.0.1:$((PORT + 1))/up/"
until_true eval '[ "$(wc -l <sink.log)" -ge 2 ]'
sunk 500000
