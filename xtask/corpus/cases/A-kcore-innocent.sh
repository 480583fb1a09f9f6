#!/bin/bash
# A-kcore-innocent: a core under a name that does not tell.
# flow: as A-kcore-file, to photo.jpg: only what the file is counts.
# tools: sh
# expect: known
# set: fast
. "$CORPUS/lib.sh"
core_pattern "$W/photo.jpg"
crash
made photo.jpg
