#!/bin/bash
# B-ssh-socks: curl through the SOCKS proxy of ssh -D.
# flow: curl, loopback; ssh was there before the dump, reads what curl sends, encrypts and writes TCP.
# tools: ssh sshd curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
sshd_up
bg ssh -F ssh_config -N -D "127.0.0.1:$((PORT + 1))" target
until_true serves $((PORT + 1))
sink http $((PORT + 2))
mkdump
no_proxy='' NO_PROXY='' curl -sS --socks5 "127.0.0.1:$((PORT + 1))" -T "$D" "http://$SINK:$((PORT + 2))/up" >/dev/null || fail "curl"
sunk
