#!/bin/bash
# A-kcore-relsub: a relative core_pattern with a folder in it.
# flow: as A-kcore-file, below the folder of the dying process.
# tools: sh
# expect: known
. "$CORPUS/lib.sh"
mkdir deep
core_pattern deep/core.%p
crash
made deep/core.*
