/* Reads by io_submit, as libaio does, and sends. */
#include "net.h"
#include <linux/aio_abi.h>

int main(int argc, char **argv)
{
    static char buffer[65536];
    aio_context_t context = 0;
    must(argc == 4 && syscall(SYS_io_setup, 1, &context) == 0, "io_setup");
    int file = open(argv[1], O_RDONLY), to = dial(argv[2], argv[3]);
    for (long long offset = 0;;) {
        struct iocb read = {.aio_fildes = file, .aio_lio_opcode = IOCB_CMD_PREAD, .aio_buf = (unsigned long)buffer,
                            .aio_nbytes = sizeof buffer, .aio_offset = offset}, *list[] = {&read};
        struct io_event event;
        must(syscall(SYS_io_submit, context, 1, list) == 1, "io_submit");
        must(syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1, "io_getevents");
        if (event.res <= 0)
            return event.res < 0;
        must(send(to, buffer, event.res, 0) == event.res, "send");
        offset += event.res;
    }
}
