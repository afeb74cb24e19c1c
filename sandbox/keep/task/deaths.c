#include "sandbox/keep/task/deaths.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/hostproc.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/task/unheard.h"
#include "sandbox/keep/time/timer.h"

/* Watching
 * -------------------------------------------------------------------------------------------------------- */

#define YOUNG_NS (20 * NSEC_PER_SEC / 1000)
#define TICK_NS (NSEC_PER_SEC / 100) /* of /proc/PID/stat */
#define YOUNG_EVENT UINT64_MAX       /* kernel.young_fd's */

static int64_t boot_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_BOOTTIME, &ts);
    return ts_ns(&ts);
}

int deaths_init(void)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = YOUNG_EVENT};

    kernel.deaths_fd = epoll_create1(EPOLL_CLOEXEC);
    kernel.young_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (kernel.deaths_fd < 0 || kernel.young_fd < 0)
        return -errno;
    return epoll_ctl(kernel.deaths_fd, EPOLL_CTL_ADD, kernel.young_fd, &ev) < 0 ? -errno : 0;
}

/* Whether the host has given p's number away again: who has it now began after p had it, by more than a tick,
 * as all other numbers were given in between. Where that cannot be read, either who has it ends at this
 * moment, which the pidfd tells, too; or memory is short (ENOENT, as proc(5) has it), which says nothing. */
static bool is_anothers(const struct process *p)
{
    struct host_stat now;

    return host_stat_read(p->host_pid, 0, &now) &&
           (int64_t)now.f[HOST_STAT_STARTTIME] > p->attached / TICK_NS;
}

void deaths_forget(struct process *p)
{
    if (!p->young)
        return;
    p->young = false;
    DL_DELETE2(kernel.young, p, young_prev, young_next);
}

static void watch(struct process *p, int pidfd)
{
    struct epoll_event ev = {
        .events = EPOLLIN | EPOLLONESHOT,
        .data.u64 = (uint64_t)(unsigned)pidfd << 32 | (unsigned)p->pid,
    };

    deaths_forget(p);
    p->pidfd = pidfd;
    (void)epoll_ctl(kernel.deaths_fd, EPOLL_CTL_ADD, pidfd, &ev);
}

/* 0: it is watched; -ESRCH: it is gone; otherwise nothing is known. */
static int look(struct process *p)
{
    int fd = (int)syscall(SYS_pidfd_open, p->host_pid, 0);

    if (fd < 0)
        return errno == EINVAL ? -ESRCH : -errno; /* EINVAL: the number is a thread's by now */
    if (is_anothers(p)) {
        (void)close(fd);
        return -ESRCH;
    }
    watch(p, fd);
    return 0;
}

bool deaths_watch(struct process *p)
{
    return p->pidfd >= 0 || (p->young && look(p) == 0);
}

static void arm(void)
{
    if (!kernel.young || kernel.young_armed)
        return;
    int64_t left = kernel.young->look_at - boot_now();
    const struct itimerspec at = {.it_value = ns_ts(left > 0 ? left : 1)};
    kernel.young_armed = timerfd_settime(kernel.young_fd, 0, &at, NULL) == 0;
}

/* [T] p is the last to be looked at. */
static void queue(struct process *p, int64_t now)
{
    p->young = true;
    p->look_at = now + YOUNG_NS;
    DL_APPEND2(kernel.young, p, young_prev, young_next);
    arm();
}

void deaths_attached(struct process *p)
{
    p->attached = boot_now();
    if (p->state != PROCESS_ALIVE)
        return;
    queue(p, p->attached);
    if (!p->parent || !kernel.young_armed) /* one that is to live */
        (void)deaths_watch(p);
}

void deaths_unheard(struct process *p)
{
    queue(p, boot_now());
}

static void watch_the_old(void)
{
    uint64_t times;
    struct process *p;

    (void)!read(kernel.young_fd, &times, sizeof(times));
    LOCKED(&kernel.tasklist_lock);
    kernel.young_armed = false;
    int64_t now = boot_now();
    while ((p = kernel.young) && p->look_at <= now) {
        if (!p->host_pid) {
            deaths_forget(p);
            unheard_await(p);
            continue;
        }
        int r = look(p);
        if (r == 0)
            continue;
        deaths_forget(p);
        if (r == -ESRCH)
            process_kill_locked(p, SIGKILL, false);
        else
            queue(p, now);
    }
    arm();
}

/* Ends
 * -------------------------------------------------------------------------------------------------------- */

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
            if (events[i].data.u64 == YOUNG_EVENT) {
                watch_the_old();
                continue;
            }
            struct process *p = find_dead(events[i].data.u64, &pidfd);
            if (!p)
                continue;
            process_exit(p, death_signal(pidfd), false);
            process_put(p);
        }
    }
    tasks_bury(); /* those whose end was expected */
}
