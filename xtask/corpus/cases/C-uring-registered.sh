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
#include "ring.h"

static struct ring ring;

static int request(int op, int slot, void *bytes, unsigned length, long long offset)
{
    return ask(&ring, (struct io_uring_sqe){.opcode = op, .flags = IOSQE_FIXED_FILE, .fd = slot,
                                            .addr = (unsigned long)bytes, .len = length, .off = offset});
}

int main(int argc, char **argv)
{
    static char buffer[65536];
    must(argc == 5, "usage");
    int files[] = {open(argv[1], O_RDONLY), open(argv[2], O_RDONLY), dial(argv[3], argv[4])};
    must(files[0] >= 0 && files[1] >= 0, "open");
    if (!ring_up(&ring, 1))
        return 77;
    registered(&ring, IORING_REGISTER_FILES, files, 3);
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
