#!/bin/bash
# A-breakpad: a minidump as Breakpad writes it: the file grows by ftruncate, the directory is filled in as streams are
#   written, and the header comes at the very end.
# flow: a process that traces another reads its stack and files in /proc about it; lseek and write in pieces; the first
#   write goes to a place behind the header of a file that has its size already.
# tools: gcc
# expect: known
. "$CORPUS/lib.sh"
cat >writer.c <<'END'
/* writer FILE: a minidump of a child. Names are those of Breakpad's MinidumpFileWriter. */
#include "net.h"
#include <signal.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

static int file;
static uint32_t position, size;

static uint32_t allocate(uint32_t bytes)
{
    uint32_t at = position;
    bytes = (bytes + 7) & ~7;
    if (position + bytes > size) {
        size += bytes < 4096 ? 4096 : bytes;
        must(ftruncate(file, size) == 0, "ftruncate");
    }
    position += bytes;
    return at;
}

static void copy(uint32_t at, const void *bytes, uint32_t length)
{
    must(lseek(file, at, SEEK_SET) == at && write(file, bytes, length) == length, "write");
}

static void stream(int index, uint32_t type, const void *bytes, uint32_t length)
{
    uint32_t entry[3] = {type, length, allocate(length)};
    copy(entry[2], bytes, length);
    copy(32 + 12 * index, entry, sizeof entry);
}

int main(int argc, char **argv)
{
    static char stack[131072], text[65536];
    const char *names[] = {"cpuinfo", "status", "cmdline", "environ", "auxv", "maps"};
    must(argc == 2, "usage");
    for (size_t at = 0; at + 64 < sizeof stack; at += 64)
        snprintf(stack + at, 64, "%s", getenv("SECRET"));
    int child = fork();
    if (child == 0)
        for (;;)
            pause();
    must(ptrace(PTRACE_ATTACH, child, NULL, NULL) == 0, "ptrace");
    waitpid(child, NULL, __WALL);
    file = open(argv[1], O_WRONLY | O_CREAT | O_EXCL, 0600);
    allocate(32);
    allocate(12 * 7);
    for (int i = 0; i < 6; i++) {
        char path[64];
        if (i)
            snprintf(path, sizeof path, "/proc/%d/%s", child, names[i]);
        else
            strcpy(path, "/proc/cpuinfo");
        int from = open(path, O_RDONLY);
        ssize_t got, all = 0;
        while ((got = read(from, text + all, sizeof text - all)) > 0)
            all += got;
        close(from);
        stream(i, 0x47670003 + i, text, all);
    }
    struct iovec here = {text, 32768}, there = {stack, 32768};
    must(process_vm_readv(child, &here, 1, &there, 1, 0) == 32768, "process_vm_readv");
    stream(6, 5, text, 32768);
    uint32_t header[8] = {0x504d444d, 0xa793, 7, 32, 0, 1700000000, 0, 0};
    copy(0, header, sizeof header);
    must(ftruncate(file, position) == 0 && close(file) == 0, "close");
    ptrace(PTRACE_DETACH, child, NULL, NULL);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return 0;
}
END
gcc -O1 -I"$CORPUS/src" -o writer writer.c || skip "writer.c does not compile here"
SECRET=$MARKER ./writer 5f3c2a10-7d1e.dmp || fail "the writer failed"
made 5f3c2a10-7d1e.dmp
