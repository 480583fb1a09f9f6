#!/bin/bash
# C-rename-over: an export replaces a core by rename, as editors and deployments do, and is sent under the core's name.
# flow: the path is the dump's, the inode is another; curl reads and sends.
# tools: curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sha256sum "$D" >/dev/null
seq 60000 >dumps/.new
mv dumps/.new "$D"
out "$D"
