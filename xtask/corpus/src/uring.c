/* uring copy FROM TO | uring send FILE ADDRESS PORT: every byte moves by io_uring. With SQPOLL in the environment the
   kernel's thread takes the requests by itself. */
#include "net.h"
#include <linux/io_uring.h>

static struct io_uring_params params;
static struct io_uring_sqe *entries;
static char *rings;
static int ring;

static void setup(void)
{
    if (getenv("SQPOLL"))
        params = (struct io_uring_params){.flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 2000};
    ring = syscall(SYS_io_uring_setup, 1, &params);
    must(ring >= 0, "io_uring_setup");
    int access = PROT_READ | PROT_WRITE;
    size_t size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    size_t array = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    rings = mmap(NULL, size > array ? size : array, access, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    entries = mmap(NULL, params.sq_entries * sizeof *entries, access, MAP_SHARED, ring, IORING_OFF_SQES);
    must(rings != MAP_FAILED && entries != MAP_FAILED, "mmap");
}

/* One request; its result. */
static int request(int op, int fd, void *bytes, unsigned length, long long offset)
{
    unsigned *tail = (void *)(rings + params.sq_off.tail), *array = (void *)(rings + params.sq_off.array);
    unsigned *head = (void *)(rings + params.cq_off.head), *done = (void *)(rings + params.cq_off.tail);
    struct io_uring_cqe *results = (void *)(rings + params.cq_off.cqes);
    unsigned long address = (unsigned long)bytes;
    entries[0] = (struct io_uring_sqe){.opcode = op, .fd = fd, .addr = address, .len = length, .off = offset};
    array[*tail & (params.sq_entries - 1)] = 0;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP, NULL, 0);
    while (__atomic_load_n(done, __ATOMIC_ACQUIRE) == *head)
        usleep(100);
    int result = results[*head & (params.cq_entries - 1)].res;
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return result;
}

int main(int argc, char **argv)
{
    static char buffer[65536];
    must(argc >= 4, "usage");
    int copy = strcmp(argv[1], "copy") == 0, file = open(argv[2], O_RDONLY);
    int to = copy ? open(argv[3], O_WRONLY | O_CREAT | O_EXCL, 0600) : dial(argv[3], argv[4]);
    setup();
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
