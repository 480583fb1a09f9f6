/* One io_uring of a process, by the bare system calls. */
#include "net.h"
#include <linux/io_uring.h>

static struct io_uring_params params;
static struct io_uring_sqe *entries;
static char *rings;
static int ring;

/* False where the kernel refuses. With SQPOLL in the environment the kernel's thread takes the requests by itself. */
static inline int ring_up(unsigned length)
{
    if (getenv("SQPOLL"))
        params = (struct io_uring_params){.flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 2000};
    ring = syscall(SYS_io_uring_setup, length, &params);
    if (ring < 0)
        return 0;
    must(params.features & IORING_FEAT_SINGLE_MMAP, "features");
    int access = PROT_READ | PROT_WRITE;
    size_t size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    size_t array = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    rings = mmap(NULL, size > array ? size : array, access, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    entries = mmap(NULL, params.sq_entries * sizeof *entries, access, MAP_SHARED, ring, IORING_OFF_SQES);
    must(rings != MAP_FAILED && entries != MAP_FAILED, "mmap");
    return 1;
}

static inline void registered(unsigned what, void *table, unsigned length)
{
    must(syscall(SYS_io_uring_register, ring, what, table, length) == 0, "io_uring_register");
}

/* Requests that were put in and not handed over yet. */
static unsigned waiting;

static inline void put(struct io_uring_sqe wanted)
{
    unsigned *tail = (void *)(rings + params.sq_off.tail), *array = (void *)(rings + params.sq_off.array);
    unsigned slot = (*tail + waiting++) & (params.sq_entries - 1);
    entries[slot] = wanted;
    array[slot] = slot;
}

/* The result of the next completion; whether another one follows for the same request. */
static inline int completion(int *more)
{
    unsigned *head = (void *)(rings + params.cq_off.head), *tail = (void *)(rings + params.cq_off.tail);
    struct io_uring_cqe *all = (void *)(rings + params.cq_off.cqes);
    while (__atomic_load_n(tail, __ATOMIC_ACQUIRE) == *head)
        usleep(100);
    struct io_uring_cqe one = all[*head & (params.cq_entries - 1)];
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    *more = one.flags & (1u << 1); /* IORING_CQE_F_MORE, which older headers lack */
    return one.res;
}

/* Hands over what waits; the results, in the order in which they come. */
static inline void submit(int *results)
{
    unsigned *tail = (void *)(rings + params.sq_off.tail);
    int more, freed;
    __atomic_store_n(tail, *tail + waiting, __ATOMIC_RELEASE);
    syscall(SYS_io_uring_enter, ring, waiting, waiting, IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP, NULL, 0);
    for (; waiting > 0; waiting--) {
        *results++ = completion(&more);
        /* Of a send without a copy: its pages are free again. */
        if (more)
            completion(&freed);
    }
}

/* The result of one request. */
static inline int ask(struct io_uring_sqe wanted)
{
    int result;
    put(wanted);
    submit(&result);
    return result;
}
