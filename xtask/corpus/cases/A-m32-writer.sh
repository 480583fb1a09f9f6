#!/bin/bash
# A-m32-writer: a 32-bit crash handler writes a minidump of its own process by the 32-bit entry.
# flow: signal handler; pwritev with two words for the position, writev of structures of 8 bytes; stack and data follow.
# tools: gcc
# expect: known
. "$CORPUS/lib.sh"
cat >writer.c <<'END'
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
static char secret[200000];
static const char *path;
static void handler(int signal)
{
    uint32_t header[8] = {0x504d444d, 0xa793, 2, 32, 0, 1700000000, 2, 0};
    uint32_t entries[6] = {5, 16, 56, 7, sizeof secret, 72};
    struct iovec first[4] = {{header, 4}, {header + 1, 28}, {entries, 12}, {entries + 3, 12}};
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (writev(file, first, 4) != 56)
        _exit(3);
    struct iovec rest[2] = {{secret, 100000}, {secret + 100000, 100000}};
    if (pwritev(file, rest, 2, 72) != 200000)
        _exit(4);
    _exit(signal == SIGSEGV ? 0 : 5);
}
int main(int argc, char **argv)
{
    path = argv[1];
    for (size_t at = 0; at + 64 < sizeof secret; at += 23)
        strcpy(secret + at, getenv("SECRET"));
    signal(SIGSEGV, handler);
    *(volatile int *)8 = 1;
    return argc;
}
END
gcc -m32 -O1 -o writer32 writer.c || skip "no 32-bit programs here"
SECRET=$MARKER ./writer32 last.tmp || fail "the writer failed"
made last.tmp
