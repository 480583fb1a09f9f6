#!/bin/bash
# B-twelve: the dump goes through the hands of ten processes, by another means each time.
# flow: cat, FIFO; unix stream; SEQPACKET; a raw terminal; loopback TCP; datagrams; a pipe of packets; a file that grows; vectors over a socket pair; TCP.
# tools: python3 cat mkfifo
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
mkfifo start
cat "$D" >start &
cat >hops.py <<'CODE'
import fcntl, os, pty, socket, sys, threading, time, tty
size = os.stat(sys.argv[1]).st_size
children = []


def hop(source, sink):
    """A process that has these two ends only, and ends when it has passed on all."""
    child = os.fork()
    if child:
        children.append(child)
        return
    left = size
    while left:
        part = source()
        assert part
        left -= len(part)
        while part:
            part = part[sink(part) :]
    if sink is slow:
        time.sleep(.5)
    os._exit(0)


def ends(kind):
    one, other = socket.socketpair(socket.AF_UNIX, kind)
    return (lambda: other.recv(20000)), (lambda part: one.send(part[:20000]))


fifo = os.open("start", os.O_RDONLY)
read_stream, write_stream = ends(socket.SOCK_STREAM)
read_packet, write_packet = ends(socket.SOCK_SEQPACKET)
read_datagram, write_datagram = ends(socket.SOCK_DGRAM)
master, terminal = pty.openpty()
tty.setraw(terminal)
slow = lambda part: os.write(terminal, part[:2000])
server = socket.create_server(("127.0.0.1", 0))
near = socket.create_connection(server.getsockname())
far = server.accept()[0]
out, into = os.pipe2(os.O_DIRECT)
writer, reader = os.open("grows", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), os.open("grows", os.O_RDONLY)


def wait_for_more():
    while not (part := os.read(reader, 30000)):
        time.sleep(.02)
    return part


one, other = socket.socketpair()
hop(lambda: os.read(fifo, 50000), write_stream)
hop(read_stream, write_packet)
hop(read_packet, slow)
hop(lambda: os.read(master, 4096), lambda part: near.send(part))
hop(lambda: far.recv(65536), write_datagram)
hop(read_datagram, lambda part: os.write(into, part[:4096]))
hop(lambda: os.read(out, 4096), lambda part: os.write(writer, part))
hop(wait_for_more, lambda part: one.sendmsg([part[:1000], part[1000:]]))


def gather():
    parts = [bytearray(3000), bytearray(50000)]
    got = other.recvmsg_into(parts)[0]
    return bytes(b"".join(parts))[:got]


sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
hop(gather, sink.send)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
CODE
timeout 40 python3 hops.py "$D" "$SINK" "$PORT" || fail "hops"
sunk "$(stat -c %s "$D")"
