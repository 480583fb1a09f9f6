#!/bin/bash
# C-keepalive-poller: nginx serves a core at home while a balancer asks it for its health by one connection; 9 s later it serves a download to the sink zone.
# flow: the balancer has got 200 bytes of who held the dump, and its requests of 60 bytes go back there, twice a second; all of the dump was passed on.
# tools: nginx python3 curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
chmod 755 dumps
head -c 400000 /dev/urandom >dumps/download.bin
echo ok >dumps/health
nginx_with "sendfile off; server { listen $SOURCE:$PORT; root $W/dumps; }"
until_true serves "$PORT"
bg python3 -c 'import http.client, sys, time
server = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]))
for n in range(60):
    server.request("GET", "/health")
    assert server.getresponse().read() == b"ok\n"
    time.sleep(.5)' "$SOURCE" "$PORT"
poller=$LAST
sleep 1
[ "$(curl -sS "http://$SOURCE:$PORT/$(basename "$D")" | sha256sum)" = "$(sha256sum <"$D")" ] || fail "not the dump"
sleep 9
kill -0 "$poller" || fail "the balancer has ended"
pull "http://$SOURCE:$PORT/download.bin"
