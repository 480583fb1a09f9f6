#!/bin/bash
# B-uring-message: a process opens the dump into its ring's table, and a message from ring to ring puts it into another process's table.
# flow: OPENAT to a slot, MSG_RING with SEND_FD; the taker, which has no descriptor of it, does READ of its slot and SEND.
# tools: gcc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
gcc -O1 -I"$CORPUS/src" -x c -o message - <<'CODE' || skip "does not compile here"
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
#include <sys/wait.h>

static void table(struct ring *ring)
{
    int none[2] = {-1, -1};
    must(syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_FILES, none, 2) == 0, "files");
}

static int take(struct ring *ring, char **argv)
{
    static char bytes[50000];
    int sink = dial(argv[2], argv[3]);
    must(answer(ring).user_data == 77, "the message");
    for (long long at = 0;;) {
        ask(ring, IORING_OP_READ, 1, bytes, sizeof bytes, at)->flags = IOSQE_FIXED_FILE;
        int got = answer(ring).res;
        if (got <= 0)
            return got < 0;
        for (int gone = 0, now; gone < got; gone += now) {
            ask(ring, IORING_OP_SEND, sink, bytes + gone, got - gone, 0);
            must((now = answer(ring).res) > 0, "send");
        }
        at += got;
    }
}

int main(int argc, char **argv)
{
    must(argc == 4, "usage");
    struct ring taker, giver;
    ring_up(&taker, 4, 0);
    table(&taker);
    pid_t child = fork();
    if (child == 0) {
        ring_map(&taker);
        _exit(take(&taker, argv));
    }
    ring_up(&giver, 4, 0);
    table(&giver);
    struct io_uring_sqe *entry = ask(&giver, IORING_OP_OPENAT, AT_FDCWD, argv[1], 0, 0);
    entry->open_flags = O_RDONLY;
    entry->file_index = 1;
    must(answer(&giver).res == 0, "openat");
    entry = ask(&giver, IORING_OP_MSG_RING, taker.fd, (void *)IORING_MSG_SEND_FD, 0, 77);
    entry->addr3 = 0;
    entry->file_index = 2;
    int result = answer(&giver).res, status;
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
