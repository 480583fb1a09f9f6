#!/bin/bash
# C-qemu-screen: QEMU writes a picture of its guest's screen, which is sent.
# flow: QEMU writes a new file that it does not read, as it does memory; curl sends it.
# tools: qemu-system-x86_64 python3 curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
guest
monitor "screendump $W/screen.ppm"
settled screen.ppm
out screen.ppm
