#!/bin/bash
# C-py-faulthandler: python's faulthandler: a traceback on SIGABRT.
# flow: python writes text, no memory.
# tools: python3
# expect: silent
. "$CORPUS/lib.sh"
python3 -c 'import faulthandler, os, sys
faulthandler.enable(open(sys.argv[1], "w"))
os.abort()' fault.log
[ -s fault.log ] || fail "no traceback"
rm -f core.*
