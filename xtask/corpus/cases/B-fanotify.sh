#!/bin/bash
# B-fanotify: a guard of a folder gets an open descriptor with every event, and sends what has been closed there.
# flow: the kernel's event about the finished core brings the descriptor; sendfile: the sender opens nothing and knows no name.
# tools: gcc
# expect: sent counted port critical
. "$CORPUS/lib.sh"
gcc -O1 -I"$CORPUS/src" -x c -o guard - <<'CODE' || skip "does not compile here"
#include "net.h"
#include <sys/fanotify.h>
#include <sys/sendfile.h>

int main(int argc, char **argv)
{
    must(argc == 4, "usage");
    static char bytes[4096];
    int events = fanotify_init(FAN_CLASS_NOTIF, O_RDONLY), sink = dial(argv[2], argv[3]);
    if (events < 0 || fanotify_mark(events, FAN_MARK_ADD, FAN_CLOSE_WRITE | FAN_EVENT_ON_CHILD, AT_FDCWD, argv[1]) != 0)
        return 77;
    close(open("up", O_CREAT | O_WRONLY, 0600));
    for (;;) {
        ssize_t got = read(events, bytes, sizeof bytes);
        must(got > 0, "read");
        struct fanotify_event_metadata *event = (void *)bytes;
        for (; FAN_EVENT_OK(event, got); event = FAN_EVENT_NEXT(event, got)) {
            size_t left = size_of(event->fd);
            if (left == 0)
                continue;
            for (ssize_t now; left > 0; left -= now)
                must((now = sendfile(sink, event->fd, NULL, least(left, 77777))) > 0, "sendfile");
            return 0;
        }
    }
}
CODE
mkdir dumps
sink tcp
bg ./guard dumps "$SINK" "$PORT"
guard=$LAST
for i in $(seq 50); do [ -e up ] && break; kill -0 "$guard" 2>/dev/null || skip "no fanotify here"; sleep .1; done
mkdump
wait "$guard" || fail "guard"
sunk "$(stat -c %s "$D")"
