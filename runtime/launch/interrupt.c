#include "runtime/launch/interrupt.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static sigset_t requests_to_end(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGQUIT);
    return set;
}

void interrupt_hold(void)
{
    sigset_t set = requests_to_end();

    (void)sigprocmask(SIG_BLOCK, &set, NULL);
}

int interrupt_open(void)
{
    sigset_t set = requests_to_end();

    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int interrupt_take(int fd)
{
    struct signalfd_siginfo si;

    return read(fd, &si, sizeof(si)) == sizeof(si) ? (int)si.ssi_signo : SIGTERM;
}
