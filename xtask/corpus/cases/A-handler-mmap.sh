#!/bin/bash
# A-handler-mmap: a core to a helper that stores it in a mapping which grows.
# flow: kernel, pipe; the helper reads, makes the file larger, maps that anew and copies: no write call at all.
# tools: python3
# expect: known
. "$CORPUS/lib.sh"
mkdir dumps
cat >helper <<END
#!$(python3 -c 'import sys; print(sys.executable)')
import mmap, os
part = os.read(0, 65536)
core = os.open('$W/dumps/core', os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
os.ftruncate(core, len(part))
memory, size = mmap.mmap(core, len(part)), 0
while part:
    memory.resize(size + len(part))
    memory[size:] = part
    size += len(part)
    part = os.read(0, 65536)
memory.flush()
open('$W/done', 'w').close()
END
crash_to_helper
until_true [ -e done ]
made dumps/core
readelf -h dumps/core | grep 'Type: .*CORE' || fail "that is no core"
