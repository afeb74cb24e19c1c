/* What its gate has of a process's signalfd is not its children's to drain: a fork's child holds nothing
 * there. The child, which speaks for itself only, then writes what it likes into that descriptor of its own.
 * Ends with 42. */
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/attacks/gate_call.h"

#define OFTEN 200

static int fd;

static int rounds(int n)
{
    struct signalfd_siginfo si[2];
    int wrong = 0;
    for (int i = 0; i < n; i++)
        wrong += kill(getpid(), SIGUSR1) != 0 || read(fd, si, sizeof(si)) != sizeof(*si) ||
                 si->ssi_signo != SIGUSR1;
    return wrong;
}

static long natively(long nr, uint64_t *value)
{
    struct iovec one = {value, sizeof(*value)};
    return call5_at(sites[0], nr, fd, (long)&one, 1, -1, 0);
}

static int child(void)
{
    uint64_t value = 7;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (natively(SYS_preadv2, &value) != -9) /* EBADF */
        return 1;
    int wrong = rounds(OFTEN);
    for (int i = 0; i < OFTEN; i++) {
        (void)natively(SYS_pwritev2, &value);
        kill(getpid(), SIGUSR1);
        (void)natively(SYS_preadv2, &value);
        (void)poll(&p, 1, 0);
    }
    return wrong ? 2 : 0;
}

int main(void)
{
    sigset_t s;
    uint64_t value;
    int status;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    sigprocmask(SIG_BLOCK, &s, NULL);
    fd = signalfd(-1, &s, SFD_NONBLOCK);
    if (!find_sites() || rounds(OFTEN))
        return 1;
    if (natively(SYS_preadv2, &value) != -11) /* EAGAIN: here it is */
        return 2;
    kill(getpid(), SIGUSR1);
    pid_t pid = fork();
    if (pid == 0)
        _exit(child());
    if (waitpid(pid, &status, 0) != pid || status != 0)
        return 3;
    struct signalfd_siginfo si;
    if (read(fd, &si, sizeof(si)) != sizeof(si) || rounds(OFTEN))
        return 4;
    return 42;
}
