#!/bin/bash
# B-iouring-sqpoll: the same with IORING_SETUP_SQPOLL.
# flow: a thread of the kernel takes the requests, reads and sends.
# tools: gcc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
compiled uring
sink tcp
SQPOLL=1 ./uring send "$D" "$SINK" "$PORT" || skip "io_uring is refused"
sunk
