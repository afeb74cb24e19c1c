#include "sandbox/platform/relay.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fds.h"
#include "common/log.h"
#include "sandbox/platform/keep_filter.h"
#include "sandbox/platform/porter.h"
#include "sandbox/platform/porter_parts.h"

/* The child's part: front is the relay, which may have been killed before this. */
static _Noreturn void become_porter(const struct porter *p, int front)
{
    struct pollfd pfd = {.fd = front, .events = POLLIN};
    struct porter inner = *p;

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || poll(&pfd, 1, 0) != 0)
        _exit(PORTER_BROKEN);
    close(front);
    inner.tty_fd = -1; /* the relay leads the terminal's session */
    inner.enter_mntns = true;
    porter_main(&inner);
}

static void reap(pid_t child)
{
    int status;

    if (waitpid(child, &status, WNOHANG) == child)
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static pid_t fork_porter(const struct porter *p)
{
    int front = (int)syscall(SYS_pidfd_open, getpid(), 0);

    if (front < 0 || unshare(CLONE_NEWPID) < 0)
        return -1;
    pid_t child = fork();
    if (child == 0)
        become_porter(p, front);
    close(front);
    return child;
}

_Noreturn void relay_main(const struct porter *p)
{
    int sigfd = porter_begin(p);
    pid_t child = sigfd < 0 ? -1 : fork_porter(p);

    if (child < 0) {
        log_error("cannot make the porter: %s", strerror(errno));
        _exit(PORTER_BROKEN);
    }
    const int needed[] = {p->keep_fd, sigfd, log_fd()};
    (void)fds_close_others(needed, sizeof(needed) / sizeof(needed[0]));
    porter_confine();

    struct pollfd pfd = {.fd = sigfd, .events = POLLIN};
    for (;;) {
        if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
            _exit(PORTER_BROKEN);
        if (porter_take_signal(sigfd, p->keep_fd))
            reap(child);
    }
}
