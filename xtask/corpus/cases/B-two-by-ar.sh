#!/bin/bash
# B-two-by-ar: two dumps in an archive of ar, which is uploaded.
# flow: ar reads both and writes a temporary file, which it renames; curl reads that and sends.
# tools: ar curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdir first second
crash first
CRASHER=/bin/bash crash second
A=$(ls -d "$W"/first/core*) B=$(ls -d "$W"/second/core*)
made "$A" "$B"
ar rc both.a "$A" "$B" || fail "ar"
out both.a
