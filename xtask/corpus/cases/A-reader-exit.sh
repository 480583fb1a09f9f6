#!/bin/bash
# A-reader-exit: a program that has looked at the head of a dump writes a heap dump of its own, and ends.
# flow: by the time the agent looks at the suspect its writer is gone, and with it what it wrote weakly.
# tools: python3 curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
# The first dump is not what is sent.
sed -i "/^dump /d" "$CORPUS_NOTES"
python3 -c 'import os, sys, time
dump = os.open(sys.argv[1], os.O_RDONLY)
os.read(dump, 4096)
os.close(dump)
with open("own.hprof", "wb", buffering=0) as file:
    file.write(b"JAVA PROFILE 1.0.2\0\0\0\0\10" + b"x" * 5000)
    for _ in range(64):
        file.write(sys.argv[2].encode() * 3000)
open("done", "w").close()' "$D" "$MARKER"
until_true [ -e done ]
sleep 1
made own.hprof
out own.hprof
