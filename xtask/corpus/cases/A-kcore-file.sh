#!/bin/bash
# A-kcore-file: a core beside the process that crashed (core_pattern=core).
# flow: the kernel writes it in the context of the dying task, without a system call.
# tools: sh
# expect: known
# set: fast
. "$CORPUS/lib.sh"
core_pattern core
crash
made core
