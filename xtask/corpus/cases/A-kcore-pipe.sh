#!/bin/bash
# A-kcore-pipe: a core to a helper that stores it as it is.
# flow: kernel, pipe, cat (a child of kthreadd in the host's namespaces), file.
# tools: sh
# expect: known
# set: fast
. "$CORPUS/lib.sh"
mkdir dumps
printf '#!/bin/sh\nexec cat >%s/dumps/core\n' "$W" >helper
crash_to_helper
settled dumps/core
made dumps/core
