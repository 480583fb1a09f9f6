#!/bin/bash
# B-uring-fixed: io_uring with registered buffers and registered files; a read is linked to the write after it.
# flow: READ_FIXED and WRITE_FIXED on a socket in one submission: neither names a descriptor or memory, but places in tables.
# tools: gcc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
gcc -O1 -I"$CORPUS/src" -x c -o fixed - <<'END' || skip "does not compile here"
#include "ring.h"

enum { PART = 65536 };
static char *bytes;
static struct ring ring;

static void next(int op, int flags, int place, unsigned offset, unsigned length, long long at)
{
    put(&ring, (struct io_uring_sqe){.opcode = op, .fd = place, .flags = IOSQE_FIXED_FILE | flags, .buf_index = 0,
                                     .addr = (unsigned long)(bytes + offset), .len = length, .off = at});
}

int main(int argc, char **argv)
{
    must(argc == 4, "usage");
    int files[] = {open(argv[1], O_RDONLY), dial(argv[2], argv[3])};
    // Memory of a file cannot be registered.
    bytes = mmap(NULL, PART, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct iovec buffer = {bytes, PART};
    size_t size = size_of(files[0]);
    if (!ring_up(&ring, 4))
        return 77;
    registered(&ring, IORING_REGISTER_BUFFERS, &buffer, 1);
    registered(&ring, IORING_REGISTER_FILES, files, 2);
    close(files[0]);
    close(files[1]);
    for (size_t offset = 0; offset < size;) {
        int part = least(PART, size - offset);
        next(IORING_OP_READ_FIXED, IOSQE_IO_LINK, 0, 0, part, offset);
        next(IORING_OP_WRITE_FIXED, 0, 1, 0, part, 0);
        int got = answer(&ring).result, sent = answer(&ring).result;
        must(got == part && sent > 0, "linked requests");
        for (int gone = sent; gone < part; gone += sent) {
            next(IORING_OP_WRITE_FIXED, 0, 1, gone, part - gone, 0);
            must((sent = answer(&ring).result) > 0, "the rest");
        }
        offset += part;
    }
    return 0;
}
END
sink tcp
./fixed "$D" "$SINK" "$PORT" || { [ $? = 77 ] && skip "io_uring is refused"; fail "fixed"; }
sunk
