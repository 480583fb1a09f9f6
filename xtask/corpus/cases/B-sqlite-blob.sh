#!/bin/bash
# B-sqlite-blob: a crash collector keeps dumps as blobs of a database; its nightly backup is uploaded.
# flow: python stores the dump in pages of 4 KiB; another python copies page by page to a second database; curl reads and sends.
# tools: python3 curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
python3 -c 'import sqlite3
with sqlite3.connect("crashes.db") as db:
    db.execute("create table crash (id integer primary key, program text, dump blob)")
    db.executemany("insert into crash (program) values (?)", [(f"program {i}",) for i in range(100)])'
mkdump
python3 -c 'import sqlite3, sys
with sqlite3.connect("crashes.db") as db:
    db.execute("insert into crash (program, dump) values (?, ?)", ("sh", open(sys.argv[1], "rb").read()))' "$D"
python3 -c 'import sqlite3
source, backup = sqlite3.connect("crashes.db"), sqlite3.connect("backup.db")
source.backup(backup, pages=8)
backup.close()'
out backup.db
