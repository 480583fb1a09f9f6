#!/bin/bash
# C-symbols-fetch: a triage service reads a core, and fetches 3.4 MB of symbols from the sink zone.
# flow: the process that holds the whole dump sends 5 KB of requests; what is large comes the other way.
# tools: python3
# expect: silent
. "$CORPUS/lib.sh"
mkdump
mkdir symbols
for n in $(seq 42); do head -c 80000 /dev/urandom >"symbols/lib$n.debug"; done
bg_there python3 -m http.server --protocol HTTP/1.1 -d symbols -b "$SINK" "$PORT" 2>server.log
until_true listens "$SINK" "$PORT"
python3 - "$D" "$SINK" "$PORT" <<'END' || fail "not all symbols came"
import http.client, sys
dump, got = open(sys.argv[1], "rb").read(), 0
# 42 requests of 120 bytes by one connection.
sink = http.client.HTTPConnection(sys.argv[2], int(sys.argv[3]))
for n in range(1, 43):
    sink.request("GET", "/lib%d.debug" % n, headers={"User-Agent": "symbols/1.0 (triage; linux)"})
    got += len(sink.getresponse().read())
assert got == 42 * 80000 and dump[:4] == b"\x7fELF", got
END
