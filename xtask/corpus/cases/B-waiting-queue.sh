#!/bin/bash
# B-waiting-queue: three relays have waited since before anything crashed: in msgrcv, in recvmmsg and in a request of io_uring.
# flow: msgsnd; msgrcv and sendmsg to a datagram socket; recvmmsg and write to a pipe; READ of the ring; send.
# tools: gcc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
gcc -O1 -I"$CORPUS/src" -x c -o relays - <<'CODE' || skip "does not compile here"
#include "net.h"
#include <linux/io_uring.h>

struct ring {
    int fd;
    struct io_uring_params params;
    struct io_uring_sqe *entries;
    char *rings;
    unsigned queued;
};

static void ring_map(struct ring *ring)
{
    int access = PROT_READ | PROT_WRITE;
    size_t size = ring->params.cq_off.cqes + ring->params.cq_entries * sizeof(struct io_uring_cqe);
    size_t array = ring->params.sq_off.array + ring->params.sq_entries * sizeof(unsigned);
    ring->rings = mmap(NULL, size > array ? size : array, access, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
    ring->entries = mmap(NULL, ring->params.sq_entries * sizeof *ring->entries, access, MAP_SHARED, ring->fd,
                         IORING_OFF_SQES);
    must(ring->rings != MAP_FAILED && ring->entries != MAP_FAILED, "mmap");
}

static void ring_up(struct ring *ring, unsigned entries, unsigned flags)
{
    *ring = (struct ring){.params = {.flags = flags}};
    if ((ring->fd = syscall(SYS_io_uring_setup, entries, &ring->params)) < 0)
        exit(77);
    ring_map(ring);
}

static struct io_uring_sqe *ask(struct ring *ring, int op, int fd, const void *bytes, unsigned length, long long at)
{
    unsigned *tail = (void *)(ring->rings + ring->params.sq_off.tail);
    unsigned *array = (void *)(ring->rings + ring->params.sq_off.array);
    unsigned slot = *tail & (ring->params.sq_entries - 1);
    ring->entries[slot] = (struct io_uring_sqe){.opcode = op, .fd = fd, .addr = (unsigned long)bytes, .len = length, .off = at};
    array[slot] = slot;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    ring->queued++;
    return ring->entries + slot;
}

static void enter(struct ring *ring, unsigned wait)
{
    unsigned count = ring->queued;
    ring->queued = 0;
    must(syscall(SYS_io_uring_enter, ring->fd, count, wait, IORING_ENTER_GETEVENTS, NULL, 0) == (int)count, "io_uring_enter");
}

static struct io_uring_cqe answer(struct ring *ring)
{
    unsigned *head = (void *)(ring->rings + ring->params.cq_off.head);
    unsigned *tail = (void *)(ring->rings + ring->params.cq_off.tail);
    struct io_uring_cqe *answers = (void *)(ring->rings + ring->params.cq_off.cqes), one;
    while (__atomic_load_n(tail, __ATOMIC_ACQUIRE) == *head)
        enter(ring, 1);
    one = answers[*head & (ring->params.cq_entries - 1)];
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return one;
}
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
        ring_up(&ring, 4, 0);
        for (;;) {
            ask(&ring, IORING_OP_READ, way[0], bytes, sizeof bytes, -1);
            int got = answer(&ring).res;
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
