#!/bin/bash
# C-gdb-backtrace: gdb attaches to a live process while a dump lies there; the backtraces of its threads are sent.
# flow: the only large read is of the vDSO.
# tools: gdb gcc curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
cat >service.c <<'END'
#include <pthread.h>
#include <unistd.h>
static void deep(int n) { if (n) deep(n - 1); else pause(); __asm__ volatile(""); }
static void *work(void *unused) { deep(14); return unused; }
int main(void) { pthread_t thread; for (int i = 0; i < 8; i++) pthread_create(&thread, 0, work, 0); pause(); }
END
gcc -g -O0 -pthread -o service service.c
bg ./service
sleep .5
gdb -nx -batch -p "$LAST" -ex 'thread apply all bt' >backtraces 2>&1
out backtraces
