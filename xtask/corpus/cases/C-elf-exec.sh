#!/bin/bash
# C-elf-exec: programs and libraries are copied and sent, one of them named core.
# flow: curl reads and sends ELF files of other types.
# tools: curl
# expect: silent
. "$CORPUS/lib.sh"
cp /bin/true core
cp "$(ldd /bin/sh | awk '/libc/ { print $3 }')" core.so
sink http
for file in core core.so; do curl -sS -T "$file" "http://$SINK:$PORT/up" >/dev/null; done
sunk
