#!/bin/bash
# B-proxy-tinyproxy: curl through an HTTP proxy on loopback.
# flow: curl, loopback; tinyproxy reads and sends 64 KiB.
# tools: tinyproxy curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink http
printf 'Port %s\nListen 127.0.0.1\nTimeout 30\nMaxClients 10\nAllow 127.0.0.1\n' $((PORT + 1)) >tinyproxy.conf
bg tinyproxy -d -c tinyproxy.conf >/dev/null
until_true serves $((PORT + 1))
no_proxy='' NO_PROXY='' curl -sS -x "http://127.0.0.1:$((PORT + 1))" -T "$D" "http://$SINK:$PORT/up"
sunk
