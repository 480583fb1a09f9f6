/* What the small programs of the corpus share. Unless they say otherwise they are called with FILE ADDRESS PORT. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static inline void must(int good, const char *what)
{
    if (!good) {
        perror(what);
        exit(1);
    }
}

static inline int dial(const char *address, const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    must(inet_pton(AF_INET, address, &to.sin_addr) == 1, address);
    must(connect(fd, (void *)&to, sizeof to) == 0, "connect");
    return fd;
}

static inline size_t size_of(int fd)
{
    struct stat data;
    must(fstat(fd, &data) == 0, "fstat");
    return data.st_size;
}

static inline size_t least(size_t one, size_t other)
{
    return one < other ? one : other;
}
