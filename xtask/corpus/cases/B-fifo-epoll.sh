#!/bin/bash
# B-fifo-epoll: a shipper that was there before the crash: it polls a FIFO, and its connection stands.
# flow: cat writes the FIFO; the shipper, which never blocks in a read and never opens the dump, reads it and sends.
# tools: python3 mkfifo
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkfifo jobs
sink tcp
cat >helper.py <<'END'
import os, select, socket, sys
jobs = os.open("jobs", os.O_RDWR | os.O_NONBLOCK)
sink = socket.create_connection((sys.argv[1], int(sys.argv[2])))
open("up", "w").close()
waiting = select.epoll()
waiting.register(jobs, select.EPOLLIN)
got = 0
while waiting.poll(1 if got else 15):
    part = os.read(jobs, 30000)
    got += len(part)
    sink.sendall(part)
END
bg python3 helper.py "$SINK" "$PORT"
until_true [ -e up ]
sleep 1
mkdump
cat "$D" >jobs
wait "$LAST"
sunk "$(stat -c %s "$D")"
