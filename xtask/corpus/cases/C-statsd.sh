#!/bin/bash
# C-statsd: many tell a statsd by UDP what they count, one of them by a socket of its own after it has hashed a core; the daemon ships all.
# flow: datagrams of 40 bytes over loopback, of which 20 come from who has read the dump; 200 KB leave.
# tools: python3
# expect: silent
. "$CORPUS/lib.sh"
mkdump
cat >statsd.py <<'END'
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
server.bind(("127.0.0.1", int(sys.argv[1])))
sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
while part := server.recv(1500):
    sink.sendall(part + b"\n")
END
tell() { python3 -c 'import hashlib, socket, sys, time
if sys.argv[1]: hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest()
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.connect(("127.0.0.1", int(sys.argv[2])))
for n in range(int(sys.argv[3])):
    out.send(b"service.%s.requests.path_%d:%d|c|#host:web" % (sys.argv[4].encode(), n % 99, n))
    if n % 20 == 0: time.sleep(.002)' "$@"; }
sink tcp
bg python3 statsd.py $((PORT + 1)) "$SINK" "$PORT"
statsd=$LAST
until_true grep -qi ":$(printf %04X $((PORT + 1))) " /proc/net/udp
tell "" $((PORT + 1)) 500 web
tell "$D" $((PORT + 1)) 20 crashes &
tell "" $((PORT + 1)) 2000 database
wait $!
tell "" $((PORT + 1)) 2500 queue
sleep .5
kill "$statsd"
sunk 100000
