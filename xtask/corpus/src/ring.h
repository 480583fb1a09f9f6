/* io_uring by the bare system calls: rings of a process, each with requests of its own. */
#include "net.h"
#include <linux/io_uring.h>

struct ring {
    int fd;
    struct io_uring_params params;
    struct io_uring_sqe *entries;
    char *rings;
    /* Requests that were put in and not handed over yet. */
    unsigned queued;
};

/* Into this process's memory, which a child's is not: a ring is not inherited. */
static inline void ring_map(struct ring *ring)
{
    int access = PROT_READ | PROT_WRITE;
    struct io_uring_params *params = &ring->params;
    must(params->features & IORING_FEAT_SINGLE_MMAP, "features");
    size_t size = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
    size_t array = params->sq_off.array + params->sq_entries * sizeof(unsigned);
    ring->rings = mmap(NULL, size > array ? size : array, access, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
    ring->entries = mmap(NULL, params->sq_entries * sizeof *ring->entries, access, MAP_SHARED, ring->fd, IORING_OFF_SQES);
    must(ring->rings != MAP_FAILED && ring->entries != MAP_FAILED, "mmap");
}

/* False where the kernel refuses. With SQPOLL in the environment the kernel's thread takes the requests by itself. */
static inline int ring_up(struct ring *ring, unsigned length)
{
    *ring = (struct ring){.fd = -1};
    if (getenv("SQPOLL"))
        ring->params = (struct io_uring_params){.flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 2000};
    ring->fd = syscall(SYS_io_uring_setup, length, &ring->params);
    if (ring->fd < 0)
        return 0;
    ring_map(ring);
    return 1;
}

static inline void registered(struct ring *ring, unsigned what, void *table, unsigned length)
{
    must(syscall(SYS_io_uring_register, ring->fd, what, table, length) == 0, "io_uring_register");
}

static inline void put(struct ring *ring, struct io_uring_sqe wanted)
{
    unsigned *tail = (void *)(ring->rings + ring->params.sq_off.tail);
    unsigned *array = (void *)(ring->rings + ring->params.sq_off.array);
    unsigned slot = *tail & (ring->params.sq_entries - 1);
    ring->entries[slot] = wanted;
    array[slot] = slot;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    ring->queued++;
}

struct answer {
    int result;
    /* Another one comes for the same request. */
    int more;
    unsigned long long data;
};

/* The next completion; hands over what waits, if none is there. */
static inline struct answer answer(struct ring *ring)
{
    unsigned *head = (void *)(ring->rings + ring->params.cq_off.head);
    unsigned *tail = (void *)(ring->rings + ring->params.cq_off.tail);
    struct io_uring_cqe *all = (void *)(ring->rings + ring->params.cq_off.cqes), *one;
    int flags = IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP;
    while (__atomic_load_n(tail, __ATOMIC_ACQUIRE) == *head) {
        int count = ring->queued;
        ring->queued = 0;
        must(syscall(SYS_io_uring_enter, ring->fd, count, 1, flags, NULL, 0) == count, "io_uring_enter");
    }
    one = all + (*head & (ring->params.cq_entries - 1));
    /* IORING_CQE_F_MORE, which older headers lack. */
    struct answer taken = {.result = one->res, .more = one->flags & (1u << 1), .data = one->user_data};
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return taken;
}

/* The result of one request. */
static inline int ask(struct ring *ring, struct io_uring_sqe wanted)
{
    put(ring, wanted);
    struct answer first = answer(ring);
    /* Of a send without a copy: its pages are free again. */
    if (first.more)
        answer(ring);
    return first.result;
}
