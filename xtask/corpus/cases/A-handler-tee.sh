#!/bin/bash
# A-handler-tee: a core to a helper that stores it and ships it at the same time.
# flow: kernel, pipe; tee(2) doubles what is in it into a second pipe, splice(2) takes it out to a file: the helper has no
#   buffer; its child's cat reads the second pipe and sends.
# tools: gcc nsenter
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdir dumps
cat >both.c <<'END'
/* both FILE NETNS ADDRESS PORT */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    int second[2];
    char command[256];
    if (argc != 5 || pipe(second))
        return 2;
    if (fork() == 0) {
        dup2(second[0], 0);
        close(second[0]);
        close(second[1]);
        snprintf(command, sizeof command, "exec cat >/dev/tcp/%s/%s", argv[3], argv[4]);
        execl("/usr/bin/nsenter", "nsenter", argv[2], "bash", "-c", command, NULL);
        _exit(127);
    }
    close(second[0]);
    int file = open(argv[1], O_WRONLY | O_CREAT | O_EXCL, 0600);
    for (ssize_t got; (got = tee(0, second[1], 65536, 0)) > 0;)
        for (ssize_t now; got > 0; got -= now)
            if ((now = splice(0, NULL, file, NULL, got, 0)) <= 0)
                return 3;
    close(second[1]);
    wait(NULL);
    return 0;
}
END
gcc -O1 -o both both.c || skip "both.c does not compile here"
cat >helper <<END
#!/bin/sh
readlink /proc/self/fd/0 >$W/pipe
exec $W/both $W/dumps/core --net=/proc/$$/ns/net $SINK $PORT
END
sink tcp
crash_to_helper
sunk 100000
settled dumps/core
note "dump $(cat pipe)"
made dumps/core
