#!/bin/bash
# B-uring-direct: everything by io_uring, with descriptors that only the ring has, and zero-copy sends.
# flow: OPENAT and SOCKET into the ring's table, CONNECT, READ, SEND_ZC: the process opens no descriptor and makes no call
#       that names a file, an address or a byte; each send has two completions.
# tools: gcc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
from_linux 6.0
mkdump
gcc -O1 -I"$CORPUS/src" -x c -o direct - <<'END' || skip "does not compile here"
#include "net.h"
#include <linux/io_uring.h>

static struct io_uring_params params;
static struct io_uring_sqe *entries;
static char *rings;
static int ring;

/* The result of the next completion; whether another one follows. */
static int completion(int *more)
{
    unsigned *head = (void *)(rings + params.cq_off.head), *tail = (void *)(rings + params.cq_off.tail);
    struct io_uring_cqe *done = (void *)(rings + params.cq_off.cqes);
    while (__atomic_load_n(tail, __ATOMIC_ACQUIRE) == *head)
        syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
    struct io_uring_cqe one = done[*head & (params.cq_entries - 1)];
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    *more = one.flags & IORING_CQE_F_MORE;
    return one.res;
}

static int request(struct io_uring_sqe wanted)
{
    unsigned *tail = (void *)(rings + params.sq_off.tail), *array = (void *)(rings + params.sq_off.array);
    int more, again;
    entries[0] = wanted;
    array[*tail & (params.sq_entries - 1)] = 0;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    must(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1, "io_uring_enter");
    int result = completion(&more);
    /* The notification: the bytes' pages are free again. */
    if (more)
        completion(&again);
    return result;
}

int main(int argc, char **argv)
{
    enum { DUMP, TO };
    static char bytes[32768];
    int none[] = {-1, -1}, access = PROT_READ | PROT_WRITE;
    struct sockaddr_in sink = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[3]))};
    must(argc == 4 && inet_pton(AF_INET, argv[2], &sink.sin_addr) == 1, "usage");
    if ((ring = syscall(SYS_io_uring_setup, 1, &params)) < 0)
        return 77;
    rings = mmap(NULL, 65536, access, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    entries = mmap(NULL, params.sq_entries * sizeof *entries, access, MAP_SHARED, ring, IORING_OFF_SQES);
    must(rings != MAP_FAILED && entries != MAP_FAILED && params.features & IORING_FEAT_SINGLE_MMAP, "mmap");
    must(syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, none, 2) == 0, "files");
    must(request((struct io_uring_sqe){.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (unsigned long)argv[1],
                                       .open_flags = O_RDONLY, .file_index = DUMP + 1}) == 0, "open");
    must(request((struct io_uring_sqe){.opcode = IORING_OP_SOCKET, .fd = AF_INET, .off = SOCK_STREAM,
                                       .file_index = TO + 1}) == 0, "socket");
    must(request((struct io_uring_sqe){.opcode = IORING_OP_CONNECT, .flags = IOSQE_FIXED_FILE, .fd = TO,
                                       .addr = (unsigned long)&sink, .off = sizeof sink}) == 0, "connect");
    for (long long offset = 0;;) {
        int got = request((struct io_uring_sqe){.opcode = IORING_OP_READ, .flags = IOSQE_FIXED_FILE, .fd = DUMP,
                                                .addr = (unsigned long)bytes, .len = sizeof bytes, .off = offset});
        if (got <= 0)
            return got < 0;
        for (int gone = 0, now; gone < got; gone += now) {
            now = request((struct io_uring_sqe){.opcode = IORING_OP_SEND_ZC, .flags = IOSQE_FIXED_FILE, .fd = TO,
                                                .addr = (unsigned long)(bytes + gone), .len = got - gone});
            must(now > 0, "send");
        }
        offset += got;
    }
}
END
sink tcp
./direct "$D" "$SINK" "$PORT" || { [ $? = 77 ] && skip "io_uring is refused"; fail "direct"; }
sunk
