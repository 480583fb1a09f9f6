#!/bin/bash
# C-crash-db: a database gets a core's checksum from one client and 5000 rows from another, and its export is sent.
# flow: unix sockets; sqlite with a write-ahead log and a shared mapping of 32 KiB; 70 bytes of 500 KB are made from the dump.
# tools: python3 curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
cat >server.py <<'END'
import os, socket, sqlite3
base = sqlite3.connect("base.db", isolation_level=None)
base.execute("pragma journal_mode=wal")
base.execute("create table facts (id integer primary key, fact text)")
server = socket.socket(socket.AF_UNIX)
server.bind("base.sock.new")
server.listen()
os.rename("base.sock.new", "base.sock")
while True:
    client, rows = server.accept()[0], b""
    while part := client.recv(65536):
        rows += part
    if rows == b"export":
        break
    base.execute("begin")
    base.executemany("insert into facts (fact) values (?)", [(row,) for row in rows.decode().splitlines()])
    base.execute("commit")
    client.close()
base.execute("pragma wal_checkpoint(truncate)")
export = sqlite3.connect("export.db")
base.backup(export)
export.close()
client.sendall(b"k")
END
say() { python3 -c 'import hashlib, socket, sys
base = socket.socket(socket.AF_UNIX)
base.connect("base.sock")
base.sendall('"$1"')
base.shutdown(socket.SHUT_WR)
base.recv(1)' "$D"; }
bg python3 server.py
until_true [ -S base.sock ]
say 'b"core " + hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest().encode()'
sleep 1
say 'b"".join(b"order %d of customer %d: paid, packed and sent on its way by the usual carrier\n" % (n, n * 7) for n in range(5000))'
say 'b"export"'
out export.db
[ "$(stat -c %s export.db)" -gt 300000 ] || fail "a small export"
