#!/bin/bash
# B-proc-root: the dump's copy lies on a tmpfs that only a container sees; the host takes it through /proc/PID/root.
# flow: cp in a mount namespace of its own; curl outside opens /proc/PID/root/..., reads and sends.
# tools: unshare mount curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
mkdir inside
bg unshare -m --propagation private bash -c '
    mount -t tmpfs none inside && cp "$0" inside/heap && : >ready
    exec sleep 20' "$D"
until_true [ -e ready ]
[ ! -e inside/heap ] || fail "the copy is visible outside"
out "/proc/$LAST/root$W/inside/heap"
