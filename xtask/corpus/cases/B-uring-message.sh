#!/bin/bash
# B-uring-message: a process opens the dump into its ring's table, and a message from ring to ring puts it into another process's table.
# flow: OPENAT to a slot, MSG_RING with SEND_FD; the taker, which has no descriptor of it, does READ of its slot and SEND.
# tools: gcc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
gcc -O1 -I"$CORPUS/src" -x c -o message - <<'CODE' || skip "does not compile here"
#include "ring.h"
#include <sys/wait.h>

static void up(struct ring *ring)
{
    int none[2] = {-1, -1};
    if (!ring_up(ring, 4))
        exit(77);
    registered(ring, IORING_REGISTER_FILES, none, 2);
}

static int take(struct ring *ring, char **argv)
{
    static char bytes[50000];
    int sink = dial(argv[2], argv[3]);
    must(answer(ring).data == 77, "the message");
    for (long long at = 0;;) {
        int got = ask(ring, (struct io_uring_sqe){.opcode = IORING_OP_READ, .flags = IOSQE_FIXED_FILE, .fd = 1, .off = at,
                                                  .addr = (unsigned long)bytes, .len = sizeof bytes});
        if (got <= 0)
            return got < 0;
        for (int gone = 0, now; gone < got; gone += now) {
            now = ask(ring, (struct io_uring_sqe){.opcode = IORING_OP_SEND, .fd = sink, .len = got - gone,
                                                  .addr = (unsigned long)(bytes + gone)});
            must(now > 0, "send");
        }
        at += got;
    }
}

int main(int argc, char **argv)
{
    must(argc == 4, "usage");
    struct ring taker, giver;
    up(&taker);
    pid_t child = fork();
    if (child == 0) {
        ring_map(&taker);
        _exit(take(&taker, argv));
    }
    up(&giver);
    must(ask(&giver, (struct io_uring_sqe){.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (unsigned long)argv[1],
                                           .open_flags = O_RDONLY, .file_index = 1}) == 0, "openat");
    int status, result = ask(&giver, (struct io_uring_sqe){.opcode = IORING_OP_MSG_RING, .fd = taker.fd, .off = 77,
                                                           .addr = IORING_MSG_SEND_FD, .addr3 = 0, .file_index = 2});
    if (result == -EINVAL)
        exit(77);
    must(result >= 0, "msg_ring");
    must(waitpid(child, &status, 0) == child && status == 0, "the taker");
    return 0;
}
CODE
sink tcp
./message "$D" "$SINK" "$PORT" || { [ $? = 77 ] && skip "io_uring is refused"; fail "message"; }
sunk "$(stat -c %s "$D")"
