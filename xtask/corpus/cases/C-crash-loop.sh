#!/bin/bash
# C-crash-loop: a prefork server, whose workers inherit one connection to the sink zone: they crash one after the other, and others go on sending.
# flow: cores are born in processes that hold the socket; nobody reads them but a supervisor, which looks at their sizes.
# tools: python3
# expect: silent
. "$CORPUS/lib.sh"
mkdir dumps
sink tcp
(cd dumps && ulimit -c unlimited && exec python3 - "$SINK" "$PORT" "$MARKER" <<'END'
import os, socket, sys, time
secret, sink = sys.argv[3], socket.create_connection((sys.argv[1], int(sys.argv[2])))
def worker(number):
    pid = os.fork()
    if pid == 0:
        for n in range(200):
            sink.sendall(b"worker %d answers request %d of the day\n" % (number, n))
            time.sleep(.002)
        if number % 2:
            os.abort()
        os._exit(0)
    return pid
workers = [worker(n) for n in range(8)]
for pid in workers:
    status = os.waitpid(pid, 0)[1]
    sizes = [entry.stat().st_size for entry in os.scandir(".")]
    sink.sendall(b"worker %d ended with %d: %r\n" % (pid, status, sizes))
for n in range(3000):
    sink.sendall(b"the server itself says its heartbeat %d\n" % n)
END
) 2>/dev/null
made dumps/core*
sunk 100000
