#!/bin/bash
# A-jmap: jmap -dump of a live JVM.
# flow: the JVM that is dumped writes the file itself, not jmap.
# tools: javac jmap
# expect: known
# set: fast
. "$CORPUS/lib.sh"
jvm
jmap -dump:format=b,file="$W/heap.hprof" "$LAST" >/dev/null
made heap.hprof
