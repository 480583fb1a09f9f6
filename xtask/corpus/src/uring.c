/* uring copy FROM TO | uring send FILE ADDRESS PORT: every byte moves by io_uring. */
#include "ring.h"

static struct ring ring;

static int request(int op, int fd, void *bytes, unsigned length, long long offset)
{
    unsigned long address = (unsigned long)bytes;
    return ask(&ring, (struct io_uring_sqe){.opcode = op, .fd = fd, .addr = address, .len = length, .off = offset});
}

int main(int argc, char **argv)
{
    static char buffer[65536];
    must(argc >= 4, "usage");
    int copy = strcmp(argv[1], "copy") == 0, file = open(argv[2], O_RDONLY);
    int to = copy ? open(argv[3], O_WRONLY | O_CREAT | O_EXCL, 0600) : dial(argv[3], argv[4]);
    must(ring_up(&ring, 1), "io_uring_setup");
    for (long long offset = 0;;) {
        int got = request(IORING_OP_READ, file, buffer, sizeof buffer, offset);
        if (got <= 0)
            return got < 0;
        for (int gone = 0, now; gone < got; gone += now) {
            now = copy ? request(IORING_OP_WRITE, to, buffer + gone, got - gone, offset + gone)
                       : request(IORING_OP_SEND, to, buffer + gone, got - gone, 0);
            must(now > 0, "io_uring");
        }
        offset += got;
    }
}
