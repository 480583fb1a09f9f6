#!/bin/bash
# C-own-state-file: an agent looks at a core's magic, keeps its state of 12 KB in a file, reads that again, and sends a day's metrics.
# flow: 4 KiB of the dump come in by a buffered read; what the agent reads back from its own file is what it has written there itself.
# tools: python3
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sink tcp
python3 - "$D" "$SINK" "$PORT" <<'END'
import socket, sys, time
head = open(sys.argv[1], "rb").read(18)
with open("state", "w") as state:
    state.write("type %d\n" % head[16])
    for n in range(600):
        state.write("file %3d was seen\n" % n)
time.sleep(1.5)
state = open("state").read()
time.sleep(1.5)
with socket.create_connection((sys.argv[2], int(sys.argv[3]))) as sink:
    for n in range(8000):
        sink.sendall(b"requests_total{page=\"%d\"} %d\n" % (n, len(state)))
END
sunk 200000
