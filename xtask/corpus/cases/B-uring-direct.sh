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
#include "ring.h"

int main(int argc, char **argv)
{
    enum { DUMP, TO };
    static char bytes[32768];
    static struct ring ring;
    int none[] = {-1, -1};
    struct sockaddr_in sink = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[3]))};
    must(argc == 4 && inet_pton(AF_INET, argv[2], &sink.sin_addr) == 1, "usage");
    if (!ring_up(&ring, 1))
        return 77;
    registered(&ring, IORING_REGISTER_FILES, none, 2);
    must(ask(&ring, (struct io_uring_sqe){.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (unsigned long)argv[1],
                                          .open_flags = O_RDONLY, .file_index = DUMP + 1}) == 0, "open");
    must(ask(&ring, (struct io_uring_sqe){.opcode = IORING_OP_SOCKET, .fd = AF_INET, .off = SOCK_STREAM,
                                          .file_index = TO + 1}) == 0, "socket");
    must(ask(&ring, (struct io_uring_sqe){.opcode = IORING_OP_CONNECT, .flags = IOSQE_FIXED_FILE, .fd = TO,
                                          .addr = (unsigned long)&sink, .off = sizeof sink}) == 0, "connect");
    for (long long offset = 0;;) {
        int got = ask(&ring, (struct io_uring_sqe){.opcode = IORING_OP_READ, .flags = IOSQE_FIXED_FILE, .fd = DUMP,
                                                   .addr = (unsigned long)bytes, .len = sizeof bytes, .off = offset});
        if (got <= 0)
            return got < 0;
        for (int gone = 0, now; gone < got; gone += now) {
            now = ask(&ring, (struct io_uring_sqe){.opcode = IORING_OP_SEND_ZC, .flags = IOSQE_FIXED_FILE, .fd = TO,
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
