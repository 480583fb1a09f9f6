#!/bin/bash
# A-go-core: a Go panic with GOTRACEBACK=crash.
# flow: the runtime aborts, the kernel writes a very sparse core.
# tools: go
# expect: known
. "$CORPUS/lib.sh"
go_program crash <<'END'
package main

func main() { panic("crash") }
END
core_pattern "$W/core"
(ulimit -c unlimited && GOTRACEBACK=crash ./crash 2>/dev/null)
made core
