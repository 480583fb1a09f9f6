#!/bin/bash
# A-crashpad: a minidump as Crashpad writes it for browsers and games.
# flow: the signal handler of the process that crashes starts another, which attaches, reads memory and writes the
#   file itself.
# tools: crashpad_handler gcc
# expect: known
. "$CORPUS/lib.sh"
compiled crashpad
mkdir database
./crashpad "$(command -v crashpad_handler)" "$W/database" 2>/dev/null || fail "no minidump"
made database/pending/*.dmp
# It has been renamed just now; what is removed before the agent looks has its old name.
sleep .5
