#!/bin/bash
# A-makedumpfile: makedumpfile of a vmcore.
# flow: makedumpfile reads the crashed kernel's memory and writes a compressed kdump.
# tools: makedumpfile
# expect: known
. "$CORPUS/lib.sh"
[ -s "${CORPUS_VMCORE:-}" ] || skip "no vmcore with VMCOREINFO in CORPUS_VMCORE"
makedumpfile -c -d 31 "$CORPUS_VMCORE" vmcore.kdump >/dev/null
made vmcore.kdump
