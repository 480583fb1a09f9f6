/* Maps the file, gives its pages to a pipe and splices them to the socket: no byte is copied by this program. */
#include "net.h"

int main(int argc, char **argv)
{
    must(argc == 4, "usage");
    int file = open(argv[1], O_RDONLY), to = dial(argv[2], argv[3]), ends[2];
    size_t size = size_of(file), offset = 0;
    char *pages = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
    must(pages != MAP_FAILED && pipe(ends) == 0, "mmap");
    while (offset < size) {
        struct iovec part = {pages + offset, least(size - offset, 65536)};
        ssize_t left = vmsplice(ends[1], &part, 1, 0), now;
        must(left > 0, "vmsplice");
        for (offset += left; left > 0; left -= now) {
            now = splice(ends[0], NULL, to, NULL, left, SPLICE_F_MOVE);
            must(now > 0, "splice");
        }
    }
    return 0;
}
