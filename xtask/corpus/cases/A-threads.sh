#!/bin/bash
# A-threads: one of 41 threads crashes, whose name has a space; the main thread has ended before.
# flow: the kernel writes the core in the context of that thread, below a folder of the host's name, where the pattern
#   puts name, signal and thread numbers; curl reads it and sends.
# tools: gcc curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
cat >many.c <<'END'
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static char memory[300000];
static void *busy(void *unused)
{
    for (;;)
        usleep(1000);
    return unused;
}
static void *crash(void *nowhere)
{
    pthread_setname_np(pthread_self(), "Web Content");
    usleep(300000);
    memory[0] = *(volatile char *)nowhere;
    return nowhere;
}
int main(void)
{
    const char *secret = getenv("SECRET");
    for (size_t at = 0; at + strlen(secret) < sizeof memory; at += strlen(secret))
        strcpy(memory + at, secret);
    pthread_t thread;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (int i = 0; i < 40; i++)
        pthread_create(&thread, &small, busy, NULL);
    pthread_create(&thread, &small, crash, NULL);
    pthread_exit(NULL);
}
END
gcc -O1 -pthread -o many many.c || skip "many.c does not compile here"
cores=$W/cores/$(uname -n)
mkdir -p "$cores"
core_pattern "$W/cores/%h/%e.%s.%i.%I"
{ (ulimit -c unlimited && exec env SECRET="$MARKER" ./many); } 2>/dev/null
D=$(ls -d "$cores/Web Content.11."*)
made "$D"
out "$D"
