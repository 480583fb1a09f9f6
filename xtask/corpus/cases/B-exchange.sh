#!/bin/bash
# B-exchange: the dump and a harmless file change names in one call; what is sent has the harmless name.
# flow: renameat2 with RENAME_EXCHANGE: the inode keeps its mark, the name does not; curl reads and sends.
# tools: python3 curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
seq 100000 >report.txt
python3 - "$D" report.txt <<'END' || skip "no RENAME_EXCHANGE here"
import ctypes, os, sys
AT_FDCWD, RENAME_EXCHANGE = -100, 2
one, other = (os.fsencode(path) for path in sys.argv[1:])
sys.exit(ctypes.CDLL(None).renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) != 0)
END
head -c 4 report.txt | grep -q ELF || fail "the names were not exchanged"
rm "$D"
out report.txt
