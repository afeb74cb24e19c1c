/* How the keep waits on behalf of a task, interruptibly: on a condition, or in a host call that a private
 * signal ends. */
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/lanes/kept.h"
#include "sandbox/keep/lanes/mailbox.h"
#include "sandbox/keep/task/park.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/time/timer.h"
#include "sandbox/platform/listener.h"

#define WAKE_SIGNAL SIGUSR1

static void on_wake(int signo)
{
    (void)signo;
}

int signal_init(void)
{
    struct sigaction sa = {.sa_handler = on_wake};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, WAKE_SIGNAL);
    if (sigaction(WAKE_SIGNAL, &sa, NULL) < 0)
        return -errno;
    int r = pthread_sigmask(SIG_BLOCK, &set, NULL);
    return r ? -r : tasks_init();
}

const sigset_t *host_wait_sigmask(void)
{
    /* All but the private signal and the two that libc needs for itself (32 and 33). */
    static const sigset_t mask = {{~(1UL << (WAKE_SIGNAL - 1) | 1UL << 31 | 1UL << 32)}};
    return &mask;
}

void task_interrupt(struct task *t)
{
    if (t->sleep == SLEEP_COND) {
        t->sleep_woken = true;
        pthread_cond_broadcast(t->sleep_cond);
    } else if (t->sleep == SLEEP_HOST && !t->sleep_woken) {
        t->sleep_woken = true;
        (void)syscall(SYS_tgkill, getpid(), t->sleep_tid, WAKE_SIGNAL);
    } else if (t->sleep == SLEEP_PARKED) {
        parked_due(t);
    }
}

void signal_interrupted(struct task *t)
{
    LOCKED(&kernel.tasklist_lock);
    signal_kick(t);
}

/* [T] What a paused container has begun goes on when the container does: nothing is taken or given for it
 * meanwhile. Whoever is to die does not wait. */
static void await_thaw(struct task *t)
{
    const struct process *p = t->process;

    if (!p->container->frozen)
        return;
    worker_about_to_block();
    while (p->container->frozen && !p->group_exit && !(atomic_load(&t->life) & TASK_DYING)) {
        t->sleep_cond = &kernel.thawed;
        t->sleep_woken = false;
        t->sleep = SLEEP_COND;
        pthread_cond_wait(&kernel.thawed, &kernel.tasklist_lock);
        t->sleep = SLEEP_NONE;
        t->sleep_cond = NULL;
    }
}

void task_await_thaw(struct task *t)
{
    LOCKED(&kernel.tasklist_lock);
    await_thaw(t);
}

/* [T] */
static void interrupt_all(const struct container *c, enum task_sleep sleep)
{
    struct process *p, *tmp;
    struct task *t;

    HASH_ITER(hh_pid, c->pids->processes, p, tmp)
    DL_FOREACH2(p->threads, t, thread_next)
    if (p->container == c && t->sleep == sleep)
        task_interrupt(t);
}

void container_freeze(struct container *c, bool frozen)
{
    {
        LOCKED(&kernel.tasklist_lock);
        c->frozen = frozen;
        if (!frozen)
            pthread_cond_broadcast(&kernel.thawed);
        interrupt_all(c, frozen ? SLEEP_HOST : SLEEP_PARKED);
    }
    tasks_bury();
}

int task_wait(struct task *t, pthread_cond_t *cond, const struct timespec *deadline)
{
    if (mailbox_must_not_wait())
        return -ERESTARTSYS;
    if (signal_pending(t)) {
        signal_kick(t);
        return -ERESTARTSYS;
    }
    worker_about_to_block();
    t->sleep_cond = cond;
    t->sleep_woken = false;
    t->sleep_stopped = false;
    t->sleep = SLEEP_COND;
    int r = deadline ? pthread_cond_clockwait(cond, &kernel.tasklist_lock, CLOCK_MONOTONIC, deadline)
                     : pthread_cond_wait(cond, &kernel.tasklist_lock);
    t->sleep = SLEEP_NONE;
    t->sleep_cond = NULL;
    await_thaw(t);
    if (signal_pending(t) || t->sleep_stopped) {
        signal_kick(t);
        return -ERESTARTSYS;
    }
    return r == ETIMEDOUT ? -ETIMEDOUT : 0;
}

int host_block_begin(struct task *t)
{
    if (mailbox_must_not_wait())
        return -ERESTARTSYS;
    tasks_bury();
    kept_waits(t);
    worker_about_to_block();
    LOCKED(&kernel.tasklist_lock);
    await_thaw(t);
    if (signal_pending(t)) {
        signal_kick(t);
        return -ERESTARTSYS;
    }
    t->sleep_tid = (pid_t)syscall(SYS_gettid);
    t->sleep_woken = false;
    t->sleep_stopped = false;
    t->sleep = SLEEP_HOST;
    return 0;
}

void host_block_end(struct task *t)
{
    int saved = errno;
    bool woken;
    {
        LOCKED(&kernel.tasklist_lock);
        t->sleep = SLEEP_NONE;
        woken = t->sleep_woken;
        if (woken && signal_pending(t))
            signal_kick(t);
    }
    if (woken) { /* it may have come too late for the call that it was to end; the next must not see it */
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, WAKE_SIGNAL);
        (void)sigtimedwait(&set, NULL, &(struct timespec){0});
    }
    errno = saved;
}

static bool interrupted(struct task *t)
{
    LOCKED(&kernel.tasklist_lock);
    if (!signal_pending(t) && !t->sleep_stopped)
        return false;
    signal_kick(t);
    return true;
}

/* One ppoll. Returns its result, -EAGAIN when it was woken for nothing. */
static int poll_once(struct task *t, struct pollfd *fds, unsigned n, const struct timespec *deadline)
{
    struct timespec left = {0};
    if (deadline) {
        int64_t ns = ts_ns(deadline) - mono_now();
        left = ns_ts(ns > 0 ? ns : 0);
    }
    int r = host_block_begin(t);
    if (r)
        return r;
    r = ppoll(fds, n, deadline ? &left : NULL, host_wait_sigmask());
    if (r < 0)
        r = -errno;
    host_block_end(t);
    if (r == -EINTR)
        return interrupted(t) ? -ERESTARTSYS : -EAGAIN;
    if (r > 0 && t->process->container->frozen) /* that it is ready was not for it to hear */
        return -EAGAIN;
    return r;
}

int host_wait_many(struct task *t, struct pollfd *fds, unsigned n, const struct timespec *deadline)
{
    int r;
    do
        r = poll_once(t, fds, n, deadline);
    while (r == -EAGAIN);
    return r;
}

int host_wait(struct task *t, int fd, short events, const struct timespec *deadline)
{
    struct pollfd pfd = {.fd = fd, .events = events};
    int r = host_wait_many(t, &pfd, 1, deadline);
    if (r == 0)
        return -ETIMEDOUT;
    return r < 0 ? r : pfd.revents;
}
