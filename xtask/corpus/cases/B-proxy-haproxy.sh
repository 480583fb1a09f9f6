#!/bin/bash
# B-proxy-haproxy: curl to haproxy on loopback, which passes on to the sink zone.
# flow: curl, loopback; haproxy splices from socket to pipe to socket, without user memory.
# tools: haproxy curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink http
haproxy_with "listen relay
    bind 127.0.0.1:$((PORT + 1))
    server sink $SINK:$PORT"
until_true serves $((PORT + 1))
curl -sS -T "$D" "http://127.0.0.1:$((PORT + 1))/up"
sunk
