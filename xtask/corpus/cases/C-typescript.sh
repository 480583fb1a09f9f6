#!/bin/bash
# C-typescript: an operator's session is recorded by script: three words of a core, then long lists; the recording is sent.
# flow: a pseudo-terminal carries 100 bytes made from the dump, and 400 KB of others; script reads it and writes a file.
# tools: script strings curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
script -q -c "sh -c 'sha256sum $D; strings $D | tail -3; seq 60000; ls -laR /etc/ssl'" typescript </dev/null >/dev/null
[ "$(stat -c %s typescript)" -gt 300000 ] || fail "a short recording"
out typescript
