#!/bin/bash
# B-pipes-in-flight: full pipes are sent as descriptors; when somebody takes them, who filled them is long gone.
# flow: splice from file to pipes; SCM_RIGHTS over abstract datagrams, where the pipes wait; splice from pipe to socket.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
cat >taker.py <<'CODE'
import os, socket, sys, time
box = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
box.bind(f"\0w3.{os.getpid()}")
print(f"w3.{os.getpid()}", file=open("name.new", "w"), flush=True)
os.rename("name.new", "name")
while not os.path.exists("go"):
    time.sleep(.05)
sink = socket.create_connection((sys.argv[1], int(sys.argv[2])))
while True:
    word, fds, *_ = socket.recv_fds(box, 100, 1)
    if word == b"end":
        break
    while os.splice(fds[0], sink.fileno(), 65536):
        pass
    os.close(fds[0])
CODE
bg python3 taker.py "$SINK" "$PORT"
taker=$LAST
until_true [ -s name ]
python3 - "$D" "$(cat name)" <<'CODE' || fail "pipes"
import os, socket, sys
box = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
box.connect(b"\0" + sys.argv[2].encode())
dump = os.open(sys.argv[1], os.O_RDONLY)
while True:
    out, into = os.pipe()
    got = os.splice(dump, into, 65536)
    if not got:
        break
    # A pipe of sixteen pages has room for no more.
    os.close(into)
    socket.send_fds(box, [b"pipe"], [out])
    os.close(out)
box.send(b"end")
CODE
sleep 2
: >go
wait "$taker" || fail "the taker failed"
sunk "$(stat -c %s "$D")"
