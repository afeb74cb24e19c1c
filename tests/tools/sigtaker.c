/* sigtaker HOW: a first process that does this with TERM, says "ready", and ends with 5 when it gets it.
 *   handler   a handler
 *   sigwait   blocked, taken by sigwait(3) in another thread
 *   signalfd  blocked, read from a signalfd(2)
 *   ignore, default  what they say */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void leave(int sig)
{
    (void)sig;
    _exit(5);
}

static void *waiter(void *set)
{
    int sig;

    sigwait(set, &sig);
    _exit(5);
}

int main(int argc, char **argv)
{
    static sigset_t set;
    struct signalfd_siginfo si;
    pthread_t thread;
    const char *how = argc > 1 ? argv[1] : "";

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    if (strcmp(how, "handler") == 0)
        signal(SIGTERM, leave);
    if (strcmp(how, "ignore") == 0)
        signal(SIGTERM, SIG_IGN);
    if (strncmp(how, "sig", 3) == 0)
        sigprocmask(SIG_BLOCK, &set, NULL);
    if (strcmp(how, "sigwait") == 0)
        pthread_create(&thread, NULL, waiter, &set);
    int fd = signalfd(-1, &set, 0);
    puts("ready");
    fflush(stdout);
    if (strcmp(how, "signalfd") == 0 && read(fd, &si, sizeof(si)) == sizeof(si))
        _exit(5);
    for (;;)
        pause();
}
