#!/bin/bash
# B-inotify: a service uploads what appears in a drop folder and removes it; somebody moves the dump there.
# flow: a rename, no copy; the service has run since before, hears of the name by inotify, reads 8 KiB and sends.
# tools: python3
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdir drop
sink http
cat >uploader.py <<'END'
import ctypes, http.client, os, struct, sys
IN_CLOSE_WRITE, IN_MOVED_TO = 8, 128
libc = ctypes.CDLL(None)
watch = libc.inotify_init()
libc.inotify_add_watch(watch, b"drop", IN_CLOSE_WRITE | IN_MOVED_TO)
open("watching", "w").close()
while True:
    events = os.read(watch, 4096)
    while events:
        length = struct.unpack("iIII", events[:16])[3]
        path = "drop/" + events[16 : 16 + length].rstrip(b"\0").decode()
        events = events[16 + length :]
        client = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]))
        with open(path, "rb") as file:
            client.request("PUT", "/" + path, body=file, headers={"Content-Length": str(os.stat(path).st_size)})
        client.getresponse().read()
        client.close()
        os.remove(path)
END
bg python3 uploader.py "$SINK" "$PORT"
until_true [ -e watching ]
echo nothing >drop/hello.txt
until_true [ ! -e drop/hello.txt ]
mkdump
mv "$D" drop/
until_true [ ! -e "drop/$(basename "$D")" ]
sunk
