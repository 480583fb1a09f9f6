#!/bin/bash
# C-aborted-download: a colleague breaks off the download of a core; seven seconds later the server serves a release to the sink zone.
# flow: the server has read one buffer more of the dump than it has passed on; the connection is gone.
# tools: python3 curl
# expect: silent
. "$CORPUS/lib.sh"
mkdir dumps
(cd dumps && ulimit -c unlimited && exec python3 -c "import os, random
secret = '$MARKER'; memory = random.Random(7).randbytes(16 << 20); os.abort()") 2>/dev/null
D=$(ls -d "$W"/dumps/core*)
made "$D"
head -c 3000000 /dev/urandom >dumps/release.bin
bg python3 -m http.server -d dumps -b "$SOURCE" "$PORT" 2>server.log
until_true serves "$PORT"
curl -sS "http://$SOURCE:$PORT/$(basename "$D")" 2>/dev/null | head -c 200000 | sha256sum
sleep 7
pull "http://$SOURCE:$PORT/release.bin"
