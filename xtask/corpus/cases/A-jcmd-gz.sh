#!/bin/bash
# A-jcmd-gz: jcmd GC.heap_dump -gz=1.
# flow: the JVM compresses in memory: the magic of a heap dump never reaches the file.
# tools: javac jcmd
# expect: known
. "$CORPUS/lib.sh"
jvm
jcmd "$LAST" GC.heap_dump -gz=1 "$W/heap.hprof.gz" >/dev/null
made heap.hprof.gz
