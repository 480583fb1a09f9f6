#!/bin/bash
# C-scm-fstat: a broker hands the descriptor of a core to a quota service, which looks at its size and reports to the sink zone.
# flow: SCM_RIGHTS and fstat; no byte of the dump is read by either; the taker sends 300 KB of its own.
# tools: python3
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sha256sum "$D" >/dev/null
sink tcp
python3 - "$D" "$SINK" "$PORT" <<'END'
import os, socket, sys
giver, taker = socket.socketpair()
if os.fork() == 0:
    giver.close()
    _, (dump,), _, _ = socket.recv_fds(taker, 10, 1)
    size = os.fstat(dump).st_size
    sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
    for n in range(12000):
        sink.sendall(b"quota of user %d: %d bytes\n" % (n, size))
    os._exit(0)
with open(sys.argv[1], "rb", buffering=0) as dump:
    socket.send_fds(giver, [b"one"], [dump.fileno()])
os.wait()
END
sunk 300000
