#include "sandbox/keep/deaths.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "sandbox/keep/container.h"
#include "sandbox/keep/task.h"

/* Linux 6.13: what a pidfd tells; from 6.15 on the exit status, once the process was reaped, too. */
struct pidfd_info_ {
    uint64_t mask, cgroupid;
    uint32_t ids[11];
    int32_t exit_code;
};
#define PIDFD_GET_INFO_ _IOWR(0xff, 11, struct pidfd_info_)
#define PIDFD_INFO_EXIT_ 8U

/* Between a process's end and its reaping, by itself: soon, but on a busy host others run before. */
#define REAPED_MS 1000

static bool tells_exit(int pidfd, struct pidfd_info_ *info)
{
    *info = (struct pidfd_info_){.mask = PIDFD_INFO_EXIT_};
    return ioctl(pidfd, PIDFD_GET_INFO_, info) == 0;
}

/* By which signal the host's process died. SIGKILL where it cannot be told: that is how the host kills. */
static int death_signal(int pidfd)
{
    struct pollfd reaped = {.fd = pidfd}; /* POLLHUP, which nobody need ask for (Linux 6.9) */
    struct pidfd_info_ info;

    if (!tells_exit(pidfd, &info))
        return SIGKILL;
    if (!(info.mask & PIDFD_INFO_EXIT_)) {
        (void)poll(&reaped, 1, REAPED_MS);
        if (!tells_exit(pidfd, &info))
            return SIGKILL;
    }
    return (info.mask & PIDFD_INFO_EXIT_) && WIFSIGNALED(info.exit_code) ? WTERMSIG(info.exit_code) : SIGKILL;
}

static bool host_process_is_gone(const struct process *p)
{
    struct pollfd pfd = {.fd = p->pidfd, .events = POLLIN};

    return p->pidfd >= 0 && poll(&pfd, 1, 0) == 1;
}

/* The process that an event is about, if nobody expects its end, with a pidfd of its own. */
static struct process *find_dead(uint64_t event, int *pidfd)
{
    struct container *c;

    LOCKED(&kernel.tasklist_lock);
    DL_FOREACH(kernel.container, c)
    {
        struct process *p = process_by_pid(c->pids, (pid_t)(event & UINT32_MAX));
        if (p && p->pidfd == (int)(event >> 32) && p->state == PROCESS_ALIVE && !p->group_exit &&
            host_process_is_gone(p)) {
            *pidfd = fcntl(p->pidfd, F_DUPFD_CLOEXEC, 0);
            return process_get(p);
        }
    }
    return NULL;
}

void deaths_bury(void)
{
    struct epoll_event events[64];
    int n;

    while ((n = epoll_wait(kernel.deaths_fd, events, ARRAY_SIZE(events), 0)) > 0) {
        for (int i = 0; i < n; i++) {
            _cleanup_close_ int pidfd = -1;
            struct process *p = find_dead(events[i].data.u64, &pidfd);
            if (!p)
                continue;
            process_exit(p, death_signal(pidfd), false);
            process_put(p);
        }
    }
    tasks_bury(); /* those whose end was expected */
}
