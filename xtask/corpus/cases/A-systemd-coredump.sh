#!/bin/bash
# A-systemd-coredump: systemd-coredump, without systemd as the first process.
# flow: kernel, pipe; the helper passes the pipe's descriptor on over a unix socket; a second process splices it to a
#   file without a name, reads that and writes a compressed one, which is linked in.
# tools: systemd-socket-activate zstd
# expect: known
. "$CORPUS/lib.sh"
[ -x /lib/systemd/systemd-coredump ] ||
    skip "no systemd-coredump, and to install it changes core_pattern"
[ -e /run/systemd/coredump ] && skip "/run/systemd/coredump is in use"
mkdir -p /run/systemd
undo 'rm -f /run/systemd/coredump'
bg systemd-socket-activate --accept --seqpacket -l /run/systemd/coredump -E SYSTEMD_LOG_TARGET=console \
    /lib/systemd/systemd-coredump
until_true [ -e /run/systemd/coredump ]
core_pattern "|/lib/systemd/systemd-coredump %P %u %g %s %t 9223372036854775808 %h"
cp /bin/sh "crashme$$"
CRASHER=$W/crashme$$ crash
undo "rm -f /var/lib/systemd/coredump/core.crashme$$.*"
stored() { ls /var/lib/systemd/coredump/core.crashme$$.*; }
until_true stored >/dev/null
settled "$(stored)"
made "$(stored)"
