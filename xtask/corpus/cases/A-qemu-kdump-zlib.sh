#!/bin/bash
# A-qemu-kdump-zlib: QEMU's dump-guest-memory -z.
# flow: QEMU writes the guest's memory as a compressed kdump, flattened.
# tools: qemu-system-x86_64 python3
# expect: known
. "$CORPUS/lib.sh"
guest
monitor "dump-guest-memory -z $W/guest.dump"
settled guest.dump
made guest.dump
