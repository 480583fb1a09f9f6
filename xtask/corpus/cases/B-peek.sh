#!/bin/bash
# B-peek: a process that shares a stream's end looks at what comes (MSG_PEEK) and sends it; another one takes it out.
# flow: write to a unix socket; recv with MSG_PEEK leaves the bytes where they are; send.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
python3 - "$D" "$SINK" "$PORT" <<'END' || fail "peek"
import os, socket, sys
writer, reader = socket.socketpair()
orders, order = os.pipe()
answers, answer = os.pipe()
if os.fork() == 0:
    # The consumer: takes as many bytes as it is told, and drops them.
    writer.close()
    os.close(order)
    while word := os.read(orders, 8):
        left = int(word)
        while left:
            left -= len(reader.recv(left))
        os.write(answer, b"k")
    os._exit(0)
if os.fork() == 0:
    reader.close()
    os.close(order)
    with open(sys.argv[1], "rb") as dump:
        while part := dump.read(32768):
            writer.sendall(part)
    writer.shutdown(socket.SHUT_WR)
    os._exit(0)
writer.close()
sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
while part := reader.recv(65536, socket.MSG_PEEK):
    sink.sendall(part)
    os.write(order, b"%8d" % len(part))
    os.read(answers, 1)
END
sunk "$(stat -c %s "$D")"
