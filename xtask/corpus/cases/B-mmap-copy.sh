#!/bin/bash
# B-mmap-copy: a copy from one mapping to another, then curl -T of the copy.
# flow: no read or write call at all; curl reads the copy and sends.
# tools: python3 curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
python3 - "$D" copy <<'END'
import mmap, os, sys
with open(sys.argv[1], "rb") as source, open(sys.argv[2], "w+b") as sink:
    size = os.fstat(source.fileno()).st_size
    sink.truncate(size)
    dump = mmap.mmap(source.fileno(), size, prot=mmap.PROT_READ)
    copy = mmap.mmap(sink.fileno(), size)
    copy[:] = dump[:]
    copy.flush()
END
out copy
