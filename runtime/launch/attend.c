#include "runtime/launch/attend.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"

int attend_hold_signals(struct err *e)
{
    static const int not_ours[] = {SIGCHLD, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t set;

    sigfillset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(not_ours); i++)
        sigdelset(&set, not_ours[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL))
        return err_set(e, ERR_SYS, errno, "sigprocmask");
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? err_set(e, ERR_SYS, errno, "signalfd") : fd;
}

static void forward_signals(int signals, struct console *c, pid_t porter)
{
    struct signalfd_siginfo si;

    while (read(signals, &si, sizeof(si)) == sizeof(si)) {
        int sig = (int)si.ssi_signo;
        if (sig == SIGWINCH && c->raw)
            console_resize(c);
        else if (sig != SIGPIPE || si.ssi_pid != (uint32_t)getpid()) /* our own writes raise SIGPIPE, too */
            (void)kill(porter, sig);
    }
}

/* Serves the terminal and the signals until the porter is gone. */
int attend(int signals, struct console *c, pid_t pid, struct err *e)
{
    _cleanup_close_ int porter = (int)syscall(SYS_pidfd_open, pid, 0);

    if (porter < 0)
        return err_set(e, ERR_SYS, errno, "pidfd_open");
    for (;;) {
        struct pollfd fds[5] = {{.fd = porter, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
        console_poll_fds(c, fds + 2);
        if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
            return err_set(e, ERR_SYS, errno, "poll");
        if (fds[1].revents)
            forward_signals(signals, c, pid);
        console_copy(c, fds + 2);
        if (fds[0].revents)
            return 0;
    }
}
