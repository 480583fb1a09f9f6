#!/bin/bash
# A-kcore-suid: a core of a setuid program with suid_dumpable=2.
# flow: the kernel writes it as root, to a folder that the victim's user owns.
# tools: setpriv
# expect: known
. "$CORPUS/lib.sh"
chmod 1777 "$W"
mkdir -m 777 dumps
cp /bin/sleep susleep
chmod 4755 susleep
core_pattern "$W/dumps/core.%e"
echo 2 >/proc/sys/fs/suid_dumpable
undo 'echo 0 >/proc/sys/fs/suid_dumpable'
setpriv --reuid nobody --regid nogroup --clear-groups bash -c 'ulimit -c unlimited; exec ./susleep 60' &
sleep .5
kill -ABRT $!
wait $! 2>/dev/null
made dumps/*
