#!/bin/bash
# C-reports-by-request: an agent hashes a core that it finds, and goes on to post its reports, each by a connection of its own.
# flow: the whole dump into its memory; 12 requests of 2 KB.
# tools: python3
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sink http
python3 - "$D" "http://$SINK:$PORT/" <<'END'
import hashlib, json, sys, time, urllib.request
digest = hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest()
for n in range(12):
    report = {"n": n, "core": digest, "load": [n * m % 97 / 10 for m in range(400)]}
    urllib.request.urlopen(urllib.request.Request(sys.argv[2], json.dumps(report).encode(), method="POST")).read()
    time.sleep(.2)
END
sunk 20000
