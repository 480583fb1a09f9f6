#!/bin/bash
# A-makedumpfile: makedumpfile of a vmcore; without one in CORPUS_VMCORE, of QEMU's, which it rearranges.
# flow: makedumpfile reads the crashed kernel's memory and writes a compressed kdump.
# tools: makedumpfile qemu-system-x86_64 python3
# expect: known
. "$CORPUS/lib.sh"
if [ -s "${CORPUS_VMCORE:-}" ]; then
    makedumpfile -c -d 31 "$CORPUS_VMCORE" vmcore.kdump >/dev/null
else
    guest
    monitor "dump-guest-memory -z \"$W/flat\""
    settled flat
    makedumpfile -R vmcore.kdump <flat >/dev/null
fi
made vmcore.kdump
