#!/bin/bash
# B-go-copy: Go's io.Copy from a file to a connection.
# flow: sendfile from file to socket.
# tools: go
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
go_program copy <<'END'
package main

import (
	"io"
	"net"
	"os"
)

func main() {
	dump, _ := os.Open(os.Args[1])
	sink, err := net.Dial("tcp", os.Args[2])
	if err != nil {
		panic(err)
	}
	io.Copy(sink, dump)
	sink.Close()
}
END
sink tcp
./copy "$D" "$SINK:$PORT"
sunk
