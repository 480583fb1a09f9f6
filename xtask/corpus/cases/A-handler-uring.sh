#!/bin/bash
# A-handler-uring: a core to a helper that stores it by io_uring, with registered files and a registered buffer.
# flow: kernel, pipe; READ_FIXED and WRITE_FIXED name neither a descriptor nor, to who looks at the request, a plain
#   buffer.
# tools: gcc
# expect: known
. "$CORPUS/lib.sh"
mkdir dumps
cat >fixed.c <<'END'
/* fixed FILE: stores stdin. */
#include "net.h"
#include <linux/io_uring.h>

static struct io_uring_params params;
static struct io_uring_sqe *entries;
static char *rings;
static int ring;

static int request(int op, int slot, void *bytes, unsigned length, long long offset)
{
    unsigned *tail = (void *)(rings + params.sq_off.tail), *array = (void *)(rings + params.sq_off.array);
    unsigned *head = (void *)(rings + params.cq_off.head);
    struct io_uring_cqe *results = (void *)(rings + params.cq_off.cqes);
    entries[0] = (struct io_uring_sqe){.opcode = op, .flags = IOSQE_FIXED_FILE, .fd = slot, .off = offset,
                                       .addr = (unsigned long)bytes, .len = length, .buf_index = 0};
    array[*tail & (params.sq_entries - 1)] = 0;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    must(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1, "io_uring_enter");
    int result = results[*head & (params.cq_entries - 1)].res;
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return result;
}

int main(int argc, char **argv)
{
    static char buffer[65536] __attribute__((aligned(4096)));
    must(argc == 2, "usage");
    ring = syscall(SYS_io_uring_setup, 4, &params);
    must(ring >= 0, "io_uring_setup");
    int access = PROT_READ | PROT_WRITE;
    must(params.features & IORING_FEAT_SINGLE_MMAP, "features");
    size_t size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    size_t array = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    rings = mmap(NULL, size > array ? size : array, access, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    entries = mmap(NULL, params.sq_entries * sizeof *entries, access, MAP_SHARED, ring, IORING_OFF_SQES);
    must(rings != MAP_FAILED && entries != MAP_FAILED, "mmap");
    int files[2] = {0, open(argv[1], O_WRONLY | O_CREAT | O_EXCL, 0600)};
    struct iovec all = {buffer, sizeof buffer};
    must(syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &all, 1) == 0, "buffers");
    must(syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, files, 2) == 0, "files");
    close(files[1]);
    for (long long offset = 0;;) {
        int got = request(IORING_OP_READ_FIXED, 0, buffer, sizeof buffer, 0);
        must(got >= 0, "read");
        if (got == 0)
            return 0;
        for (int gone = 0, now; gone < got; gone += now, offset += now) {
            now = request(IORING_OP_WRITE_FIXED, 1, buffer + gone, got - gone, offset);
            must(now > 0, "write");
        }
    }
}
END
gcc -O1 -I"$CORPUS/src" -o fixed fixed.c || skip "fixed.c does not compile here"
printf '#!/bin/sh\n%s/fixed %s/dumps/core 2>%s/said\n: >%s/done\n' "$W" "$W" "$W" "$W" >helper
chmod +x helper
core_pattern "|$W/helper"
crash
until_true [ -e done ]
[ ! -s said ] || skip "$(cat said)"
made dumps/core
readelf -h dumps/core | grep 'Type: .*CORE' || fail "that is no core"
