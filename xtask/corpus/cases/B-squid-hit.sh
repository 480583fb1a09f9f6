#!/bin/bash
# B-squid-hit: somebody here fetches the dump through squid; somebody of the sink zone gets it from squid's cache.
# flow: nginx, loopback, squid, a file of its cache; squid reads that again and sends on an accepted connection; nginx is gone.
# tools: squid nginx curl
# expect: sent counted any-port critical
. "$CORPUS/lib.sh"
mkdir sq
chown proxy sq
cat >squid.conf <<END
http_port $SOURCE:$PORT
http_access allow all
cache_effective_user proxy
pid_filename none
access_log none
cache_log $W/sq/cache.log
coredump_dir none
pinger_enable off
netdb_filename none
shutdown_lifetime 0 seconds
cache_mem 1 MB
maximum_object_size_in_memory 0 KB
maximum_object_size 64 MB
cache_dir ufs $W/sq/cache 100 2 2
refresh_pattern . 60 100% 60 override-expire ignore-reload
END
squid -N -z -f "$W/squid.conf" 2>/dev/null
bg squid -N -f "$W/squid.conf" 2>/dev/null
until_true listens "$SOURCE" "$PORT"
nginx_with "sendfile on; server { listen $SOURCE:$((PORT + 1)); root $W/dumps; }"
nginx=$LAST
until_true listens "$SOURCE" $((PORT + 1))
mkdump
url=http://$SOURCE:$((PORT + 1))/$(basename "$D")
no_proxy='' NO_PROXY='' curl -sS -x "http://$SOURCE:$PORT" -o /dev/null "$url" || fail "first"
sleep 2
kill "$nginx"
sleep .5
no_proxy='' NO_PROXY='' pull -f -x "http://$SOURCE:$PORT" "$url"
