#!/bin/bash
# C-scanner: a malware scanner maps and reads every file of a tree, one of them a core, and sends a line for each.
# flow: four threads map files of 3 MB in all; 5 KB of names, sizes and checksums leave.
# tools: python3
# expect: silent
. "$CORPUS/lib.sh"
mkdump
for n in $(seq 65); do head -c 40000 /dev/urandom >"dumps/file.$n"; done
sink tcp
python3 - dumps "$SINK" "$PORT" <<'END'
import concurrent.futures, hashlib, mmap, os, socket, sys
sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))


def scan(entry):
    with open(entry.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as bytes:
        bad = bytes.find(b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!") >= 0
        return "%s %s %s\n" % (entry.name, hashlib.sha256(bytes).hexdigest(), "BAD" if bad else "OK")


with concurrent.futures.ThreadPoolExecutor(4) as pool:
    for line in pool.map(scan, sorted(os.scandir(sys.argv[1]), key=lambda entry: entry.name)):
        sink.sendall(line.encode())
END
sunk 4500
