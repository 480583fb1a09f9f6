#!/bin/bash
# A-container: a process crashes in a container: user, mount and process id namespaces of its own, root on an overlay.
# flow: an absolute core_pattern is a path in the container, and the number in it the container's; the core lies in the
#   overlay's upper layer.
# tools: gcc mount unshare
# expect: known
. "$CORPUS/lib.sh"
! grep -q '^overlay ' /proc/modules || from_linux 5.11
cat >init.c <<'END'
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
static char secret[100000];
/* The first process of a container cannot be killed from within: a child crashes. */
int main(int argc, char **argv)
{
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_CORE, &all);
    for (unsigned i = 0; argc > 1 && i < sizeof secret - 1; i++)
        secret[i] = argv[1][i % 23];
    int status, child = fork();
    if (child == 0) {
        chdir("/");
        abort();
    }
    waitpid(child, &status, 0);
    return !WCOREDUMP(status);
}
END
mkdir -p lower/tmp upper work merged
gcc -O1 -static -o lower/init init.c || skip "no static program can be linked here"
mount -t overlay overlay -o "lowerdir=$W/lower,upperdir=$W/upper,workdir=$W/work" merged || skip "no overlay here"
undo "umount '$W/merged'"
core_pattern "/tmp/core.%e.%p"
unshare --user --map-root-user true || skip "no user namespaces here"
unshare --user --map-root-user --mount --pid --fork --root="$W/merged" /init "$MARKER:--" || fail "no core was dumped"
made upper/tmp/core.init.2
