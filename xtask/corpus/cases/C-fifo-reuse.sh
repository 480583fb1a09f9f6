#!/bin/bash
# C-fifo-reuse: a FIFO that somebody keeps open carries a dump to a checker, and then a list to an uploader.
# flow: cat writes the dump into the FIFO, sha256sum reads all of it; later seq writes it and curl reads and sends.
# tools: curl mkfifo
# expect: silent
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink http
mkfifo spool
exec 7<>spool
size=$(stat -c %s "$D")
cat "$D" >spool &
head -c "$size" <spool | sha256sum >sum
wait $!
grep -q "$(sha256sum <"$D")" sum || fail "not all came through"
sleep 1
seq 60000 >list
cat list >spool &
head -c "$(stat -c %s list)" <spool | curl -sS -T - "http://$SINK:$PORT/up" >/dev/null
wait $!
exec 7>&-
sunk 300000
