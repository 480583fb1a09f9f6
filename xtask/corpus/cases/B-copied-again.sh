#!/bin/bash
# B-copied-again: one dump is copied twice to the same name, then the copy is uploaded.
# flow: cp empties its own earlier copy and writes it anew; curl reads and sends.
# tools: curl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
cp "$D" current
sleep 1
cp "$D" current
sleep 1
out current
