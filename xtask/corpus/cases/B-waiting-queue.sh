#!/bin/bash
# B-waiting-queue: three relays have waited since before anything crashed: in msgrcv, in recvmmsg and in a request of io_uring.
# flow: msgsnd; msgrcv and sendmsg to a datagram socket; recvmmsg and write to a pipe; READ of the ring; send.
# tools: gcc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
gcc -O1 -I"$CORPUS/src" -x c -o relays - <<'CODE' || skip "does not compile here"
#include "ring.h"
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/wait.h>

static struct { long type; char bytes[4000]; } message = {.type = 1};

int main(int argc, char **argv)
{
    must(argc == 3, "usage");
    int queue = msgget(IPC_PRIVATE, IPC_CREAT | 0600), ends[2], way[2];
    must(queue >= 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0 && pipe(way) == 0, "channels");
    if (fork() == 0) {
        close(way[0]);
        close(way[1]);
        for (ssize_t got = 1; got > 0;) {
            must((got = msgrcv(queue, &message, sizeof message.bytes, 0, 0)) >= 0, "msgrcv");
            struct iovec part = {message.bytes, got};
            struct msghdr head = {.msg_iov = &part, .msg_iovlen = 1};
            must(sendmsg(ends[0], &head, 0) == got, "sendmsg");
        }
        msgctl(queue, IPC_RMID, NULL);
        _exit(0);
    }
    if (fork() == 0) {
        static char bytes[8][4000];
        close(way[0]);
        for (;;) {
            struct iovec parts[8];
            struct mmsghdr heads[8] = {0};
            for (int i = 0; i < 8; i++) {
                parts[i] = (struct iovec){bytes[i], 4000};
                heads[i].msg_hdr = (struct msghdr){.msg_iov = parts + i, .msg_iovlen = 1};
            }
            int count = recvmmsg(ends[1], heads, 8, MSG_WAITFORONE, NULL);
            must(count > 0, "recvmmsg");
            for (int i = 0; i < count; i++) {
                if (heads[i].msg_len == 0)
                    _exit(0);
                must(write(way[1], bytes[i], heads[i].msg_len) == heads[i].msg_len, "write");
            }
        }
    }
    close(way[1]);
    if (fork() == 0) {
        static char bytes[30000];
        int sink = dial(argv[1], argv[2]);
        struct ring ring;
        if (!ring_up(&ring, 4))
            exit(77);
        for (;;) {
            int got = ask(&ring, (struct io_uring_sqe){.opcode = IORING_OP_READ, .fd = way[0], .off = -1,
                                                       .addr = (unsigned long)bytes, .len = sizeof bytes});
            must(got >= 0, "read");
            if (got == 0)
                _exit(0);
            must(send(sink, bytes, got, 0) == got, "send");
        }
    }
    close(way[0]);
    close(open("up", O_CREAT | O_WRONLY, 0600));
    /* Who puts the dump in is forked only when there is one. */
    while (access("dump", F_OK) != 0)
        usleep(50000);
    if (fork() == 0) {
        int dump = open("dump", O_RDONLY);
        ssize_t got;
        do {
            must((got = read(dump, message.bytes, sizeof message.bytes)) >= 0, "read");
            must(msgsnd(queue, &message, got, 0) == 0, "msgsnd");
        } while (got > 0);
        _exit(0);
    }
    for (int i = 0, status; i < 4; i++) {
        must(wait(&status) > 0, "wait");
        if (status != 0)
            return WEXITSTATUS(status);
    }
    return 0;
}
CODE
sink tcp
bg ./relays "$SINK" "$PORT"
relays=$LAST
until_true [ -e up ]
sleep 1
mkdump
ln -s "$D" dump
wait "$relays" || { [ $? = 77 ] && skip "io_uring is refused"; fail "relays"; }
sunk "$(stat -c %s "$D")"
