#!/bin/bash
# A-jail: a daemon that has locked itself into a folder makes a call that seccomp forbids.
# flow: chroot(2), a filter, SIGSYS: an absolute core_pattern is a path below the daemon's root.
# tools: gcc
# expect: known
. "$CORPUS/lib.sh"
cat >jailed.c <<'END'
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
static char secret[100000];
int main(int argc, char **argv)
{
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (argc != 3)
        return 2;
    for (unsigned i = 0; i < sizeof secret - 1; i++)
        secret[i] = argv[2][i % strlen(argv[2])];
    setrlimit(RLIMIT_CORE, &all);
    if (chroot(argv[1]) || chdir("/"))
        return 3;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        return 77;
    syscall(SYS_getppid);
    return 4;
}
END
gcc -O1 -o jailed jailed.c || skip "jailed.c does not compile here"
mkdir -p jail/var/cores
core_pattern "/var/cores/%e-%u-%g.%s"
{ (exec ./jailed "$W/jail" "$MARKER"); } 2>/dev/null
[ $? != 77 ] || skip "no seccomp here"
made jail/var/cores/jailed-0-0.31
