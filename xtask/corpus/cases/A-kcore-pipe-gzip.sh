#!/bin/bash
# A-kcore-pipe-gzip: a core to a helper that compresses in flight.
# flow: kernel, pipe, gzip, file: no byte of an ELF head ever lies in a file.
# tools: gzip
# expect: known
# set: fast
. "$CORPUS/lib.sh"
mkdir dumps
printf '#!/bin/sh\nexec gzip -1 >%s/dumps/core.gz\n' "$W" >helper
crash_to_helper
settled dumps/core.gz
made dumps/core.gz
