#!/bin/bash
# B-syslog-later: a program tells a syslog daemon a dump's checksum; later another one logs the dump itself, as base64.
# flow: datagrams of two senders to one unix socket; the daemon sends all lines on.
# tools: python3
# expect: sent encoded port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
logd_up
log 'log.send(b"core seen, sha256 " + hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest().encode())' "$D"
sleep 2
log 'text = base64.b64encode(open(sys.argv[1], "rb").read())
for at in range(0, len(text), 4000): log.send(text[at : at + 4000])' "$D"
sleep .5
kill "$logd"
sunk 600000
