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
#include "ring.h"

static struct ring ring;

static int request(int op, int slot, void *bytes, unsigned length, long long offset)
{
    return ask(&ring, (struct io_uring_sqe){.opcode = op, .flags = IOSQE_FIXED_FILE, .fd = slot, .off = offset,
                                            .addr = (unsigned long)bytes, .len = length, .buf_index = 0});
}

int main(int argc, char **argv)
{
    static char buffer[65536] __attribute__((aligned(4096)));
    must(argc == 2 && ring_up(&ring, 4), "io_uring_setup");
    int files[2] = {0, open(argv[1], O_WRONLY | O_CREAT | O_EXCL, 0600)};
    struct iovec all = {buffer, sizeof buffer};
    registered(&ring, IORING_REGISTER_BUFFERS, &all, 1);
    registered(&ring, IORING_REGISTER_FILES, files, 2);
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
crash_to_helper
until_true [ -e done ]
[ ! -s said ] || skip "$(cat said)"
made dumps/core
readelf -h dumps/core | grep 'Type: .*CORE' || fail "that is no core"
