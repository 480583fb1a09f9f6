#!/bin/bash
# C-disk-images: a raw disk with zeroes first, a qcow2, a DLL whose header comes last, a rule file with magics of dumps inside.
# flow: mkfs and python write at many places; curl reads and sends.
# tools: mkfs.ext4 python3 curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sha256sum "$D" >/dev/null
truncate -s 4M disk.raw
mkfs.ext4 -q -F disk.raw
python3 - <<'END'
import os, random, struct
noise = random.Random(7).randbytes(200000)
with open("core.dll", "wb", buffering=0) as dll:
    # As linkers do: room for the header, then sections, then the header.
    dll.write(bytes(4096))
    dll.write(noise)
    os.pwrite(dll.fileno(), b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff" + bytes(46) + struct.pack("<I", 128), 0)
    os.pwrite(dll.fileno(), b"PE\0\0\x64\x86\6\0", 128)
with open("disk.qcow2", "wb", buffering=0) as disk:
    disk.write(bytes(65536))
    disk.write(noise)
    os.pwrite(disk.fileno(), b"QFI\xfb" + struct.pack(">IQIIQIIQQII", 3, 0, 0, 16, 1 << 22, 0, 1, 131072, 65536, 1, 0), 0)
with open("rules.bin", "wb", buffering=0) as rules:
    rules.write(b"RULES 1\n".ljust(64, b"\0"))
    rules.write(b"MDMP\x93\xa7\0\0".ljust(64, b"\0") + b"JAVA PROFILE 1.0.2\0\0\0\0\4".ljust(64, b"\0"))
    rules.write(b"\x7fELF\2\1\1".ljust(16, b"\0") + b"\4\0\x3e\0" + b"KDUMP   \6\0\0\0".rjust(64, b"\0"))
    rules.write(noise)
END
sink http
for file in disk.raw disk.qcow2 core.dll rules.bin; do curl -sS -T "$file" "http://$SINK:$PORT/up" >/dev/null; done
sunk 4000000
