#!/bin/bash
# B-dante: curl by the SOCKS server dante, whose processes hand connections on to each other.
# flow: curl, loopback; one process accepts, one negotiates, one connects, and one, which has got both sockets (SCM_RIGHTS), relays.
# tools: danted curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
cat >danted.conf <<END
logoutput: $W/danted.log
internal: 127.0.0.1 port = $((PORT + 1))
external: $SOURCE
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
END
bg danted -f "$W/danted.conf" -p "$W/danted.pid"
until_true serves $((PORT + 1))
sink http
mkdump
no_proxy='' NO_PROXY='' curl -sS -m 20 --socks5 "127.0.0.1:$((PORT + 1))" -T "$D" "http://$SINK:$PORT/up" >/dev/null || { tail -3 danted.log; fail "curl"; }
sunk
