#!/bin/bash
# A-mem-dd: dd copies a region of a live process's memory, page by page, while another dump lies there; it is uploaded.
# flow: dd skips to an address in /proc/PID/mem and reads there: raw bytes without a magic; curl reads the file and sends.
# tools: dd python3 curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
bg python3 -c 'import ctypes, mmap, sys, time
memory = mmap.mmap(-1, 400 << 10)
memory.write((sys.argv[1].encode() * 20000)[:400 << 10])
with open("where.new", "w") as where:
    print(ctypes.addressof(ctypes.c_char.from_buffer(memory)) // 4096, file=where)
__import__("os").rename("where.new", "where")
time.sleep(60)' "$MARKER"
until_true [ -e where ]
dd if="/proc/$LAST/mem" of=region bs=4096 skip="$(cat where)" count=100 2>/dev/null &
dd=$!
wait "$dd" || fail "dd failed"
[ "$(stat -c %s region)" = 409600 ] || fail "dd read too little"
grep -q "$MARKER" region || fail "that is another region"
# What is read of another's memory is born in its reader.
note "dump dd[$dd]"
made region
out region
