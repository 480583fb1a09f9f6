#!/bin/bash
# C-uring-registered: a server has a core among the registered files of its io_uring, and sends another one of them.
# flow: the dump's slot is never asked for; reads of another slot and sends are requests of the ring.
# tools: gcc
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sha256sum "$D" >/dev/null
seq 60000 >export
cat >server.c <<'END'
#include "net.h"
#include <linux/io_uring.h>

static struct io_uring_params params;
static struct io_uring_sqe *entries;
static char *rings;
static int ring;

static int request(int op, int slot, void *bytes, unsigned length, long long offset)
{
    unsigned *tail = (void *)(rings + params.sq_off.tail), *array = (void *)(rings + params.sq_off.array);
    unsigned *head = (void *)(rings + params.cq_off.head), *done = (void *)(rings + params.cq_off.tail);
    struct io_uring_cqe *results = (void *)(rings + params.cq_off.cqes);
    entries[0] = (struct io_uring_sqe){.opcode = op, .flags = IOSQE_FIXED_FILE, .fd = slot,
                                       .addr = (unsigned long)bytes, .len = length, .off = offset};
    array[*tail & (params.sq_entries - 1)] = 0;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0);
    while (__atomic_load_n(done, __ATOMIC_ACQUIRE) == *head)
        usleep(100);
    int result = results[*head & (params.cq_entries - 1)].res;
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return result;
}

int main(int argc, char **argv)
{
    static char buffer[65536];
    must(argc == 5, "usage");
    int files[] = {open(argv[1], O_RDONLY), open(argv[2], O_RDONLY), dial(argv[3], argv[4])};
    must(files[0] >= 0 && files[1] >= 0, "open");
    ring = syscall(SYS_io_uring_setup, 1, &params);
    if (ring < 0)
        return 77;
    size_t size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    size_t array = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    rings = mmap(NULL, size > array ? size : array, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    entries = mmap(NULL, params.sq_entries * sizeof *entries, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    must(rings != MAP_FAILED && entries != MAP_FAILED, "mmap");
    must(syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, files, 3) == 0, "register");
    close(files[0]);
    close(files[1]);
    for (long long offset = 0;;) {
        int got = request(IORING_OP_READ, 1, buffer, sizeof buffer, offset);
        if (got <= 0)
            return got < 0;
        for (int gone = 0, now; gone < got; gone += now)
            must((now = request(IORING_OP_SEND, 2, buffer + gone, got - gone, 0)) > 0, "send");
        offset += got;
    }
}
END
gcc -O1 -I "$CORPUS/src" -o server server.c || skip "this does not compile here"
sink tcp
./server "$D" export "$SINK" "$PORT"
case $? in 0) ;; 77) skip "io_uring is refused" ;; *) fail "the server failed" ;; esac
sunk 300000
