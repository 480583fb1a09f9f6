/* Reads the file into memory and sends it with MSG_ZEROCOPY: the network card takes it from this process's pages. */
#include "net.h"

int main(int argc, char **argv)
{
    must(argc == 4, "usage");
    int file = open(argv[1], O_RDONLY), to = dial(argv[2], argv[3]), on = 1;
    size_t size = size_of(file), offset = 0;
    char *bytes = malloc(size);
    must(bytes && read(file, bytes, size) == (ssize_t)size, "read");
    must(setsockopt(to, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on) == 0, "SO_ZEROCOPY");
    while (offset < size) {
        ssize_t now = send(to, bytes + offset, least(size - offset, 32768), MSG_ZEROCOPY);
        must(now > 0 || errno == ENOBUFS, "send");
        if (now > 0)
            offset += now;
        else
            usleep(1000);
    }
    /* The pages must stay until they are sent. */
    sleep(1);
    return 0;
}
