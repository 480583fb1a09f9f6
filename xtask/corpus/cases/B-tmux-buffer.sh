#!/bin/bash
# B-tmux-buffer: the dump goes into a buffer of tmux, and from there into nc.
# flow: a client reads the dump and sends it to the server, which was there before, by a unix socket; another client, pipe, nc.
# tools: tmux nc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
export HOME=$W TERM=xterm
tmux -S "$W/t" -f /dev/null new-session -d 'sleep 60' || fail "tmux"
undo "tmux -S '$W/t' kill-server"
sink tcp
mkdump
tmux -S "$W/t" load-buffer "$D"
sleep 1
tmux -S "$W/t" save-buffer - | nc -N "$SINK" "$PORT"
sunk 100000
