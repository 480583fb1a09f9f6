#!/bin/bash
# C-pg-basebackup: a table of PostgreSQL has the heads of a core, and the sink zone takes a base backup with its WAL.
# flow: a backend reads 256 bytes of the dump; the checkpointer writes shared pages; the WAL sender reads and sends 25 MB of files.
# tools: psql setpriv
# expect: silent
. "$CORPUS/lib.sh"
pg=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1)
[ -x "$pg/postgres" ] || skip "no postgres"
mkdump
chmod 755 dumps
chmod 644 "$D"
mkdir pg recv
chown postgres pg
as() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
as "$pg/initdb" -D "$W/pg/data" -A trust -U postgres >initdb.log 2>&1 || fail "$(tail -3 initdb.log)"
cat >>pg/data/postgresql.conf <<END
listen_addresses = '$SOURCE'
port = $PORT
unix_socket_directories = '$W/pg'
shared_buffers = 16MB
fsync = off
END
printf 'host all all all trust\nhost replication all all trust\n' >>pg/data/pg_hba.conf
bg setpriv --reuid=postgres --regid=postgres --clear-groups "$pg/postgres" -D "$W/pg/data" 2>pg.log
undo "kill -INT $LAST"
sql() { psql -q -U postgres -h "$W/pg" -p "$PORT" -c "$1"; }
until_true sql 'select 1' >/dev/null
sql 'create table orders as select n, md5(n::text) as note from generate_series(1, 50000) n'
sql "create table types as select encode(pg_read_binary_file('$D', 0, 64), 'hex') as head, (pg_stat_file('$D')).size"
sleep 1
sql checkpoint
there "$pg/pg_basebackup" -U postgres -h "$SOURCE" -p "$PORT" -D "$W/recv" -X stream -c fast || fail "no backup"
arrived "$(du -sb recv | cut -f1)" 10000000
