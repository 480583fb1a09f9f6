#!/bin/bash
# A-reverse: a dumper that sets the size of its core first and fills it from the end: the memory last to first, then the
#   headers.
# flow: pwritev at falling positions; the page with the header is touched by the last call only.
# tools: python3
# expect: known
. "$CORPUS/lib.sh"
cat >dumper.py <<'END'
import os, struct, sys
secret = sys.argv[2].encode() * 12000
segments = [secret[n:n + 245760] for n in range(3)]
name, note = b"CORE\0\0\0\0", bytes(336)
notes = struct.pack("<III", 5, len(note), 1) + name + note
table, at = [struct.pack("<IIQQQQQQ", 4, 0, 64 + 56 * 4, 0, 0, len(notes), 0, 4)], 4096
places = []
for number, segment in enumerate(segments):
    table.append(struct.pack("<IIQQQQQQ", 1, 6, at, 0x7F0000000000 + (number << 20), 0, len(segment), len(segment), 4096))
    places.append(at)
    at += len(segment)
head = b"\x7fELF\x02\x01\x01" + bytes(9)
head += struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, len(table), 0, 0, 0)
core = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
os.ftruncate(core, at)
for place, segment in reversed(list(zip(places, segments))):
    os.pwritev(core, [segment[:100000], segment[100000:]], place)
os.pwritev(core, [head, b"".join(table), notes], 0)
END
python3 dumper.py image.0 "$MARKER"
readelf -h image.0 | grep 'Type: .*CORE' || fail "that is no core"
made image.0
