#!/bin/bash
# C-syslog-two: two programs tell a syslog daemon the checksums of two dumps; the daemon ships all lines to the sink zone.
# flow: datagrams of many to one unix socket, which has the marks of both; 140 bytes of 170,000 are made from the dumps.
# tools: python3
# expect: silent
. "$CORPUS/lib.sh"
crash_two
made "$A" "$B"
sink tcp
logd_up
for dump in "$A" "$B"; do
    log 'log.send(b"core seen, sha256 " + hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest().encode())' "$dump"
    sleep 1
done
log 'for i in range(3000): log.send(b"<13>Nov 27 12:00:00 web[77]: request %d served in 3 ms" % i)'
sleep .5
kill "$logd"
sunk 100000
