#!/bin/bash
# B-proxy-haproxy: curl to haproxy on loopback, which passes on to the sink zone.
# flow: curl, loopback; haproxy splices from socket to pipe to socket, without user memory.
# tools: haproxy curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink http
cat >haproxy.cfg <<END
defaults
    mode tcp
    option splice-auto
    option splice-request
    timeout connect 5s
    timeout client 20s
    timeout server 20s
listen relay
    bind 127.0.0.1:$((PORT + 1))
    server sink $SINK:$PORT
END
bg haproxy -db -f haproxy.cfg
until_true serves $((PORT + 1))
curl -sS -T "$D" "http://127.0.0.1:$((PORT + 1))/up"
sunk
