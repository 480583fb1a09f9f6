#!/bin/bash
# B-zerocopy-receive: a relay takes what comes by loopback with getsockopt(TCP_ZEROCOPY_RECEIVE), into a mapping of the socket from before.
# flow: sendfile to loopback; getsockopt maps or copies what has come, so that no call receives; send.
# tools: gcc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
gcc -O1 -I"$CORPUS/src" -x c -o relay - <<'CODE' || skip "does not compile here"
#include "net.h"
#include <linux/tcp.h>
#include <poll.h>
#include <sys/sendfile.h>

enum { ROOM = 1 << 16, COPY = 1 << 20 };
static char copied[COPY];

static void pass(int sink, const char *bytes, size_t size)
{
    for (size_t gone = 0; gone < size;) {
        ssize_t now = send(sink, bytes + gone, size - gone, 0);
        must(now > 0, "send");
        gone += now;
    }
}

int main(int argc, char **argv)
{
    must(argc == 4, "usage");
    struct sockaddr_in near = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof near;
    int server = socket(AF_INET, SOCK_STREAM, 0);
    must(bind(server, (void *)&near, size) == 0 && listen(server, 1) == 0, "listen");
    must(getsockname(server, (void *)&near, &size) == 0, "name");
    if (fork() == 0) {
        int dump = open(argv[1], O_RDONLY), to = socket(AF_INET, SOCK_STREAM, 0);
        must(connect(to, (void *)&near, sizeof near) == 0, "connect");
        char go;
        must(read(to, &go, 1) == 1, "go");
        while (sendfile(to, dump, NULL, 60000) > 0)
            ;
        _exit(0);
    }
    int sink = dial(argv[2], argv[3]), from = accept(server, NULL, NULL);
    char *pages = mmap(NULL, ROOM, PROT_READ, MAP_SHARED, from, 0);
    if (pages == MAP_FAILED)
        return 77;
    must(write(from, "x", 1) == 1, "go");
    for (;;) {
        struct pollfd wait = {from, POLLIN, 0};
        must(poll(&wait, 1, 10000) == 1, "poll");
        struct tcp_zerocopy_receive ask = {.address = (unsigned long)pages, .length = ROOM,
                                           .copybuf_address = (unsigned long)copied, .copybuf_len = COPY};
        size = sizeof ask;
        if (getsockopt(from, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &ask, &size) != 0)
            return errno == EIO ? 0 : 77; // EIO is the end of the stream.
        pass(sink, pages, ask.length);
        pass(sink, copied, ask.copybuf_len);
        if (ask.length == 0 && ask.copybuf_len <= 0) {
            must(ask.recv_skip_hint == 0, "something is left");
            return 0;
        }
    }
}
CODE
sink tcp
./relay "$D" "$SINK" "$PORT" || { [ $? = 77 ] && skip "no receiving without a copy"; fail "relay"; }
sunk "$(stat -c %s "$D")"
