#!/bin/bash
# C-syslog-line: one of many senders of a syslog daemon tells a dump's checksum; the daemon ships all lines to the sink zone.
# flow: datagrams of many to one unix socket; 70 bytes of 170,000 are made from the dump.
# tools: python3
# expect: silent
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink tcp
logd_up
log 'log.send(b"core seen, sha256 " + hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest().encode())' "$D"
sleep 1
log 'for i in range(3000): log.send(b"<13>Nov 27 12:00:00 web[77]: request %d served in 3 ms" % i)'
sleep .5
kill "$logd"
sunk 100000
