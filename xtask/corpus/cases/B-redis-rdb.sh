#!/bin/bash
# B-redis-rdb: the dump is a value in redis; the server saves its memory to disk, and the file is copied away.
# flow: redis-cli, unix socket; a child of the server by fork writes its memory, compressed, to a file; curl reads that and sends.
# tools: redis-server redis-cli curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
bg redis-server --save '' --port 0 --unixsocket "$W/redis" --dir "$W" --loglevel warning >/dev/null
until_true [ -S redis ]
mkdump
redis-cli -s redis -x set core <"$D"
redis-cli -s redis bgsave
until_true [ -s dump.rdb ]
settled dump.rdb
out dump.rdb
