#!/bin/bash
# C-exchange-names: a core and a log exchange their names, and the log is sent under the core's name.
# flow: renameat2 with RENAME_EXCHANGE; both inodes live on; curl reads and sends the one that is no dump.
# tools: python3 curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sha256sum "$D" >/dev/null
seq 60000 >dumps/app.log
python3 -c 'import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
one, other = map(os.fsencode, sys.argv[1:])
sys.exit(libc.renameat2(-100, one, -100, other, 2) and os.strerror(ctypes.get_errno()))' "$D" dumps/app.log ||
    skip "no exchange of names here"
head -c 4 dumps/app.log | grep -q ELF || fail "the names are what they were"
out "$D"
