/* crashpad HANDLER DATABASE: crashes, and its signal handler starts Crashpad's, as applications with Crashpad do. */
#include "net.h"
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static char **arguments;
/* What the handler reads from this process. */
static struct __attribute__((packed)) {
    uint64_t info, context;
    int32_t thread;
} exception;

static void crashed(int signal, siginfo_t *info, void *context)
{
    char where[64], database[4096];
    exception.info = (uintptr_t)info;
    exception.context = (uintptr_t)context;
    exception.thread = syscall(SYS_gettid);
    snprintf(where, sizeof where, "--trace-parent-with-exception=0x%llx", (unsigned long long)(uintptr_t)&exception);
    snprintf(database, sizeof database, "--database=%s", arguments[2]);
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    int handler = fork();
    if (handler == 0)
        execl(arguments[1], arguments[1], database, where, NULL);
    int status;
    waitpid(handler, &status, 0);
    _exit(status ? signal : 0);
}

int main(int argc, char **argv)
{
    must(argc == 3, "usage");
    arguments = argv;
    struct sigaction action = {.sa_sigaction = crashed, .sa_flags = SA_SIGINFO};
    sigaction(SIGABRT, &action, NULL);
    abort();
}
