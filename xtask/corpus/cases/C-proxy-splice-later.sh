#!/bin/bash
# C-proxy-splice-later: haproxy brings a core to a store of its own zone, and six seconds later an export to the sink zone.
# flow: splice from socket to pipe to socket; the thread keeps its pipes for the next connection.
# tools: haproxy
# expect: silent
. "$CORPUS/lib.sh"
mkdump
seq 100000 >export
sink tcp
bg python3 "$CORPUS/sink.py" tcp "$SOURCE" $((PORT + 2)) "$W/store.log" "$MARKER"
until_true [ -e store.log.ready ]
haproxy_with "listen store
    bind 127.0.0.1:$((PORT + 1))
    server store $SOURCE:$((PORT + 2))
listen export
    bind 127.0.0.1:$((PORT + 3))
    server sink $SINK:$PORT"
until_true serves $((PORT + 1))
until_true serves $((PORT + 3))
cat "$D" >"/dev/tcp/127.0.0.1/$((PORT + 1))"
until_true grep -q "^$(stat -c %s "$D") " store.log
sleep 3
sleep 3
cat export >"/dev/tcp/127.0.0.1/$((PORT + 3))"
sunk 500000
