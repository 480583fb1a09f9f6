#!/bin/bash
# B-two-resumed: uploads that break off after 200,000 bytes each, and are taken up again where they ended.
# flow: a new connection for each piece; the far end says from where to go on.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
crash_two
made "$A" "$B"
cat >far.py <<'END'
import socket, sys
have = [0, 0]
with socket.create_server((sys.argv[1], int(sys.argv[2]))) as server:
    while True:
        connection = server.accept()[0]
        which = connection.recv(1)
        if not which:
            continue
        which = which[0]
        connection.sendall(have[which].to_bytes(8, "big"))
        left = 200000
        while left and (part := connection.recv(min(left, 1 << 16))):
            have[which] += len(part)
            left -= len(part)
        connection.close()
        open("have", "w").write(str(sum(have)))
END
cat >near.py <<'END'
import os, socket, sys, time
for which, path in enumerate(sys.argv[3:]):
    size = os.stat(path).st_size
    while True:
        sink = socket.create_connection((sys.argv[1], int(sys.argv[2])))
        sink.sendall(bytes([which]))
        at = int.from_bytes(sink.recv(8), "big")
        if at == size:
            break
        with open(path, "rb") as file:
            file.seek(at)
            piece = file.read(200000)
        sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
        sink.recv(1)
        sink.close()
END
bg_there python3 far.py "$SINK" "$PORT"
until_true listens "$SINK" "$PORT"
python3 near.py "$SINK" "$PORT" "$A" "$B"
sleep .5
arrived "$(cat have)" 500000
