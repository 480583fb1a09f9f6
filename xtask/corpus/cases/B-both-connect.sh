#!/bin/bash
# B-both-connect: a connection that nobody listened for: both ends connect at the same moment.
# flow: bind and connect on both sides until two requests cross (simultaneous open); read and send.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
cat >meet.py <<'CODE'
import socket, time


def meet(near, far):
    """Asks for a connection at every full tick of a twentieth of a second."""
    for _ in range(400):
        end = socket.socket()
        end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        end.bind(near)
        time.sleep(.05 - time.time() % .05)
        while time.time() % .05 < .02:
            try:
                end.connect(far)
                return end
            except ConnectionRefusedError:
                pass
            except OSError:
                break
        end.close()
    raise SystemExit("never met")
CODE
cat >far.py <<'CODE'
import os, sys
from meet import meet
end = meet((sys.argv[1], int(sys.argv[2])), (sys.argv[3], int(sys.argv[2]) + 1))
got = 0
while part := end.recv(65536):
    got += len(part)
print(got, file=open("got.new", "w"), flush=True)
os.rename("got.new", "got")
CODE
bg_there python3 far.py "$SINK" "$PORT" "$SOURCE"
python3 - "$D" "$SOURCE" "$SINK" "$PORT" <<'CODE' || fail "near"
import sys
sys.path.insert(0, "")
from meet import meet
end = meet((sys.argv[2], int(sys.argv[4]) + 1), (sys.argv[3], int(sys.argv[4])))
with open(sys.argv[1], "rb") as dump:
    while part := dump.read(30000):
        end.sendall(part)
CODE
until_true [ -s got ]
arrived "$(cat got)" "$(stat -c %s "$D")"
