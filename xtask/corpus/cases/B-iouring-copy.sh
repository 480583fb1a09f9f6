#!/bin/bash
# B-iouring-copy: a copy by io_uring, then curl -T of the copy.
# flow: reads and writes are requests of a ring, no calls of their own; curl reads the copy and sends.
# tools: gcc curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
compiled uring
./uring copy "$D" copy || skip "io_uring is refused"
out copy
