#!/bin/bash
# A-go-heapdump: Go's debug.WriteHeapDump.
# flow: the runtime writes its own heap.
# tools: go
# expect: known
. "$CORPUS/lib.sh"
go_program dump <<'END'
package main

import (
	"os"
	"runtime/debug"
)

func main() {
	file, _ := os.Create(os.Args[1])
	debug.WriteHeapDump(file.Fd())
}
END
./dump heapdump
made heapdump
