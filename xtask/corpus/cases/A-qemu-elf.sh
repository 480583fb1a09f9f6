#!/bin/bash
# A-qemu-elf: QEMU's dump-guest-memory.
# flow: QEMU writes the guest's memory as an ELF core.
# tools: qemu-system-x86_64 python3
# expect: known
. "$CORPUS/lib.sh"
guest
monitor "dump-guest-memory $W/guest.dump"
settled guest.dump
made guest.dump
