#!/bin/bash
# B-two-in-turns: two processes with a dump each and one connection, by which they send in turns.
# flow: the connection is inherited by both; 20,000 bytes of the one, 20,000 of the other, in turns that two pipes tell: one stream of two dumps.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
crash_two
made "$A" "$B"
sink tcp
python3 - "$A" "$B" "$SINK" "$PORT" <<'CODE' || fail "turns"
import os, socket, sys
sink = socket.create_connection((sys.argv[3], int(sys.argv[4])))
rounds = max(os.stat(path).st_size for path in sys.argv[1:3]) // 20000 + 1
pipes = os.pipe(), os.pipe()
os.write(pipes[0][1], b"x")
for own, path in enumerate(sys.argv[1:3]):
    if os.fork() == 0:
        with open(path, "rb", 0) as dump:
            for _ in range(rounds):
                part = dump.read(20000)
                os.read(pipes[own][0], 1)
                sink.sendall(part)
                os.write(pipes[1 - own][1], b"x")
        os._exit(0)
for _ in range(2):
    assert os.wait()[1] == 0
CODE
sunk $(($(stat -c %s "$A") + $(stat -c %s "$B")))
