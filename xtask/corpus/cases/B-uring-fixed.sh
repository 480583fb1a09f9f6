#!/bin/bash
# B-uring-fixed: io_uring with registered buffers and registered files; a read is linked to the write after it.
# flow: READ_FIXED and WRITE_FIXED on a socket in one submission: neither names a descriptor or memory, but places in tables.
# tools: gcc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
gcc -O1 -I"$CORPUS/src" -x c -o fixed - <<'END' || skip "does not compile here"
#include "net.h"
#include <linux/io_uring.h>

enum { PART = 65536 };
static struct io_uring_params params;
static struct io_uring_sqe *entries;
static char *rings, *bytes;
static int ring;

static struct io_uring_sqe *next(int op, int place, unsigned offset, unsigned length, long long at)
{
    unsigned *tail = (void *)(rings + params.sq_off.tail), *array = (void *)(rings + params.sq_off.array);
    unsigned slot = *tail & (params.sq_entries - 1);
    entries[slot] = (struct io_uring_sqe){.opcode = op, .fd = place, .flags = IOSQE_FIXED_FILE, .buf_index = 0,
                                          .addr = (unsigned long)(bytes + offset), .len = length, .off = at};
    array[slot] = slot;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    return entries + slot;
}

/* Submits what is there; the results, in the order in which they come. */
static void submit(int count, int *results)
{
    unsigned *head = (void *)(rings + params.cq_off.head), *tail = (void *)(rings + params.cq_off.tail);
    struct io_uring_cqe *done = (void *)(rings + params.cq_off.cqes);
    must(syscall(SYS_io_uring_enter, ring, count, count, IORING_ENTER_GETEVENTS, NULL, 0) == count, "io_uring_enter");
    for (int i = 0; i < count; i++) {
        while (__atomic_load_n(tail, __ATOMIC_ACQUIRE) == *head)
            usleep(100);
        results[i] = done[*head & (params.cq_entries - 1)].res;
        __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    }
}

int main(int argc, char **argv)
{
    must(argc == 4, "usage");
    int files[] = {open(argv[1], O_RDONLY), dial(argv[2], argv[3])}, access = PROT_READ | PROT_WRITE;
    // Memory of a file cannot be registered.
    bytes = mmap(NULL, PART, access, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct iovec buffer = {bytes, PART};
    size_t size = size_of(files[0]);
    if ((ring = syscall(SYS_io_uring_setup, 4, &params)) < 0)
        return 77;
    rings = mmap(NULL, 65536, access, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    entries = mmap(NULL, params.sq_entries * sizeof *entries, access, MAP_SHARED, ring, IORING_OFF_SQES);
    must(rings != MAP_FAILED && entries != MAP_FAILED && params.features & IORING_FEAT_SINGLE_MMAP, "mmap");
    must(syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &buffer, 1) == 0, "buffers");
    must(syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, files, 2) == 0, "files");
    close(files[0]);
    close(files[1]);
    for (size_t offset = 0; offset < size;) {
        int part = least(PART, size - offset), results[2];
        next(IORING_OP_READ_FIXED, 0, 0, part, offset)->flags |= IOSQE_IO_LINK;
        next(IORING_OP_WRITE_FIXED, 1, 0, part, 0);
        submit(2, results);
        must(results[0] == part && results[1] > 0, "linked requests");
        for (int gone = results[1]; gone < part; gone += *results) {
            next(IORING_OP_WRITE_FIXED, 1, gone, part - gone, 0);
            submit(1, results);
            must(*results > 0, "the rest");
        }
        offset += part;
    }
    return 0;
}
END
sink tcp
./fixed "$D" "$SINK" "$PORT" || { [ $? = 77 ] && skip "io_uring is refused"; fail "fixed"; }
sunk
