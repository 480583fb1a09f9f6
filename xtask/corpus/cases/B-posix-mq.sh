#!/bin/bash
# B-posix-mq: a POSIX message queue between two programs that were started apart.
# flow: mq_timedsend and mq_timedreceive of at most 8 KiB; who takes them out sends.
# tools: gcc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
gcc -O1 -I"$CORPUS/src" -x c -o queue - -lrt <<'END' || skip "does not compile here"
/* queue put NAME FILE | queue take NAME ADDRESS PORT */
#include "net.h"
#include <mqueue.h>

int main(int argc, char **argv)
{
    static char bytes[8192];
    struct mq_attr sizes = {.mq_maxmsg = 8, .mq_msgsize = sizeof bytes};
    must(argc >= 4, "usage");
    mqd_t queue = mq_open(argv[2], O_RDWR | O_CREAT, 0600, &sizes);
    if (queue == (mqd_t)-1)
        return 77;
    ssize_t size;
    if (strcmp(argv[1], "take") == 0) {
        int to = dial(argv[3], argv[4]);
        while ((size = mq_receive(queue, bytes, sizeof bytes, NULL)) > 0)
            must(send(to, bytes, size, 0) == size, "send");
        return size < 0;
    }
    int file = open(argv[3], O_RDONLY);
    do {
        must((size = read(file, bytes, sizeof bytes)) >= 0, "read");
        must(mq_send(queue, bytes, size, 0) == 0, "mq_send");
    } while (size > 0);
    return 0;
}
END
sink tcp
undo "python3 -c 'import ctypes; ctypes.CDLL(None).mq_unlink(b\"/$NAME.$$\")'"
bg ./queue take "/$NAME.$$" "$SINK" "$PORT"
./queue put "/$NAME.$$" "$D" || { [ $? = 77 ] && skip "no message queues"; fail "queue"; }
wait "$LAST" || fail "the taker failed"
sunk
