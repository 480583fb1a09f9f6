#!/bin/bash
# B-two-by-ar: two dumps in an archive of ar, which is uploaded.
# flow: ar reads both and writes a temporary file, which it renames; curl reads that and sends.
# tools: ar curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
crash_two
made "$A" "$B"
ar rc both.a "$A" "$B" || fail "ar"
out both.a
