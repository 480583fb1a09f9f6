/* A parent reads the file into a System V message queue; its child, which has the socket, takes it out and sends. */
#include "net.h"
#include <sys/msg.h>
#include <sys/wait.h>

enum { PART = 1, END = 2 };
struct message {
    long type;
    char bytes[4096];
};

int main(int argc, char **argv)
{
    struct message message;
    int queue = msgget(IPC_PRIVATE, 0600);
    ssize_t size;
    must(argc == 4 && queue >= 0, "msgget");
    if (fork() == 0) {
        int to = dial(argv[2], argv[3]);
        while ((size = msgrcv(queue, &message, sizeof message.bytes, 0, 0)) > 0 && message.type == PART)
            must(send(to, message.bytes, size, 0) == size, "send");
        return 0;
    }
    int file = open(argv[1], O_RDONLY);
    for (message.type = PART; (size = read(file, message.bytes, sizeof message.bytes)) > 0;)
        must(msgsnd(queue, &message, size, 0) == 0, "msgsnd");
    message.type = END;
    must(msgsnd(queue, &message, 1, 0) == 0, "msgsnd");
    wait(NULL);
    return msgctl(queue, IPC_RMID, NULL);
}
