/* clone FROM TO BYTES: shares the first bytes of a file with another. */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>

int main(int argc, char **argv) {
    (void)argc;
    struct file_clone_range part = {.src_fd = open(argv[1], O_RDONLY), .src_length = strtoul(argv[3], 0, 10)};
    return ioctl(open(argv[2], O_WRONLY | O_CREAT, 0600), FICLONERANGE, &part) != 0;
}
