#!/bin/bash
# A-qemu-fd: QEMU's dump-guest-memory as libvirt asks for it: by QMP, in a compressed format, into a descriptor.
# flow: another process opens the file and hands the descriptor to QEMU, which writes a kdump of packed pages.
# tools: qemu-system-x86_64 python3
# expect: known
. "$CORPUS/lib.sh"
bg qemu-system-x86_64 -M q35 -m 64 -display none -serial none -monitor none -qmp "unix:$W/qmp,server=on,wait=off"
until_true [ -S qmp ]
sleep 1
cat >manager.py <<'END'
import json, os, socket, sys
qmp = socket.socket(socket.AF_UNIX)
qmp.connect("qmp")
answers = qmp.makefile("r")
answers.readline()


def ask(command, descriptors=(), **arguments):
    text = json.dumps({"execute": command, "arguments": arguments} if arguments else {"execute": command}).encode()
    socket.send_fds(qmp, [text], descriptors)
    while True:
        answer = json.loads(answers.readline())
        if "error" in answer:
            sys.exit(f"{command}: {answer['error']}")
        if "return" in answer:
            return answer["return"]


ask("qmp_capabilities")
formats = ask("query-dump-guest-memory-capability")["formats"]
wanted = [name for name in ("kdump-snappy", "kdump-lzo", "kdump-zlib") if name in formats]
if not wanted:
    sys.exit(77)
guest = os.open("domain.save", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
ask("getfd", [guest], fdname="dump")
ask("dump-guest-memory", paging=False, protocol="fd:dump", format=wanted[0])
END
timeout 20 python3 manager.py
case $? in 0) ;; 77) skip "this QEMU makes no such dump" ;; *) fail "the manager failed" ;; esac
settled domain.save
made domain.save
