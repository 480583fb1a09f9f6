#!/bin/bash
# A-go-rename: a Go program writes a core through bufio into a temporary file, syncs it and renames it into place.
# flow: binary.Write into a buffer of 4 KiB; the file gets its name when it is whole.
# tools: go
# expect: known
. "$CORPUS/lib.sh"
go_program dump <<'END'
package main

import (
	"bufio"
	"debug/elf"
	"encoding/binary"
	"os"
	"strings"
)

func main() {
	memory := []byte(strings.Repeat(os.Getenv("SECRET"), 20000))
	file, err := os.CreateTemp(".", ".snap-*")
	if err != nil {
		panic(err)
	}
	out := bufio.NewWriter(file)
	head := elf.Header64{Type: uint16(elf.ET_CORE), Machine: uint16(elf.EM_X86_64), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 2}
	copy(head.Ident[:], "\x7fELF\x02\x01\x01")
	note := make([]byte, 20+336)
	binary.LittleEndian.PutUint32(note[0:], 5)
	binary.LittleEndian.PutUint32(note[4:], 336)
	binary.LittleEndian.PutUint32(note[8:], 1)
	copy(note[12:], "CORE")
	at := uint64(64 + 2*56)
	for _, part := range []any{
		head,
		elf.Prog64{Type: uint32(elf.PT_NOTE), Off: at, Filesz: uint64(len(note)), Align: 4},
		elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: 6, Off: at + uint64(len(note)), Vaddr: 0xc000000000, Filesz: uint64(len(memory)), Memsz: uint64(len(memory)), Align: 1},
		note,
		memory,
	} {
		if err := binary.Write(out, binary.LittleEndian, part); err != nil {
			panic(err)
		}
	}
	out.Flush()
	file.Sync()
	file.Close()
	if err := os.Rename(file.Name(), os.Args[1]); err != nil {
		panic(err)
	}
}
END
SECRET=$MARKER ./dump final.dat
readelf -h final.dat | grep Type
made final.dat
