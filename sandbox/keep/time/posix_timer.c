/* POSIX timers: timer_create(2) and its family, on the keep's timer queue. [T] throughout.
 * Absolute CLOCK_REALTIME timers are converted when set: a later jump of the clock does not move them. */
#include <time.h>
#include <stdlib.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/quiet.h"
#include "sandbox/keep/time/timer.h"

#define TIMERS_MAX 4096 /* of one process */
#define CPUCLOCK_SCHED 2

struct posix_timer {
    struct ktimer timer; /* first */
    struct posix_timer *next, *prev;
    struct process *process; /* whose list it is on: no reference */
    struct task *thread;     /* SIGEV_THREAD_ID: a reference */
    struct task *clocked;    /* CLOCK_THREAD_CPUTIME_ID: a reference */
    int id;
    clockid_t clock;
    int notify, signo;
    int64_t target, interval; /* of its clock, ns; target 0: off */
    struct sigqueue entry;
    bool queued, dead;
    int overrun, last_overrun;
};

/* What the guest's struct sigevent holds. */
struct user_sigevent {
    uint64_t value;
    int32_t signo, notify, tid;
    int32_t pad[11];
};

static bool is_cpu_clock(clockid_t clock)
{
    return clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID;
}

static int64_t clock_now(const struct posix_timer *pt)
{
    struct timespec ts;
    if (is_cpu_clock(pt->clock))
        return pt->clocked ? task_cpu_ns(pt->clocked) : process_cpu_ns(pt->process);
    clock_gettime(pt->clock, &ts);
    return ts_ns(&ts);
}

static int64_t wall_for(const struct posix_timer *pt, int64_t left)
{
    if (!is_cpu_clock(pt->clock))
        return left;
    int64_t wall = left / (pt->process->nthreads && !pt->clocked ? pt->process->nthreads : 1);
    return wall < 1000000 ? 1000000 : wall;
}

static void timer_free(struct posix_timer *pt)
{
    if (pt->thread)
        task_put(pt->thread);
    if (pt->clocked)
        task_put(pt->clocked);
    free(pt);
}

void posix_timer_delivered(struct sigqueue *q)
{
    struct posix_timer *pt = q->timer;
    pt->queued = false;
    q->prev = q->next = NULL;
    pt->last_overrun = pt->overrun;
    pt->overrun = 0;
    if (pt->dead)
        timer_free(pt);
}

static void add_overrun(struct posix_timer *pt, int64_t missed)
{
    int64_t over = (int64_t)pt->overrun + missed;
    pt->overrun = over > INT32_MAX ? INT32_MAX : (int)over;
    pt->entry.info.si_overrun = pt->overrun;
}

void posix_timer_catch_up(struct sigqueue *q)
{
    struct posix_timer *pt = q->timer;
    if (pt->dead || !pt->target || !pt->interval || is_cpu_clock(pt->clock))
        return;
    int64_t now = clock_now(pt);
    if (now < pt->target)
        return;
    int64_t missed = (now - pt->target) / pt->interval + 1;
    pt->target += missed * pt->interval;
    add_overrun(pt, missed);
    ktimer_set(&pt->timer, mono_now() + pt->target - now);
}

static void notify(struct posix_timer *pt, int64_t missed)
{
    if (pt->notify == SIGEV_NONE)
        return;
    add_overrun(pt, missed + (pt->queued ? 1 : 0));
    if (pt->queued)
        return;
    siginfo_t info = pt->entry.info;
    pt->entry.prev = NULL;
    (void)send_timer_signal(pt->process, pt->thread, &pt->entry, &info);
    pt->queued = pt->entry.prev != NULL;
}

static void timer_fire(struct ktimer *kt)
{
    struct posix_timer *pt = (struct posix_timer *)kt;
    int64_t now = clock_now(pt), missed = 0;
    if (pt->clocked && pt->clocked->exited) {
        pt->target = 0;
        return;
    }
    if (now >= pt->target) {
        if (pt->interval) {
            missed = (now - pt->target) / pt->interval;
            pt->target += (missed + 1) * pt->interval;
        } else {
            pt->target = 0;
        }
        notify(pt, missed);
    }
    if (pt->target)
        ktimer_set(kt, mono_now() + wall_for(pt, pt->target - now));
}

static struct posix_timer *find(const struct task *t, int id)
{
    struct posix_timer *pt;
    DL_FOREACH(t->process->timers, pt)
    {
        if (pt->id == id)
            return pt;
    }
    return NULL;
}

static void timer_remove(struct process *p, struct posix_timer *pt)
{
    ktimer_cancel(&pt->timer);
    DL_DELETE(p->timers, pt);
    pt->dead = true;
    if (!pt->queued)
        timer_free(pt); /* else once its signal has been taken */
}

void posix_timers_delete(struct process *p)
{
    while (p->timers)
        timer_remove(p, p->timers);
}

static int check_clock(clockid_t clock)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_MONOTONIC:
    case CLOCK_PROCESS_CPUTIME_ID:
    case CLOCK_THREAD_CPUTIME_ID:
    case CLOCK_BOOTTIME:
    case CLOCK_TAI:
        return 0;
    case CLOCK_REALTIME_ALARM:
    case CLOCK_BOOTTIME_ALARM:
        return -EPERM; /* waking the machine is not the guest's */
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_MONOTONIC_COARSE:
        return -EOPNOTSUPP;
    default:
        return -EINVAL;
    }
}

/* [T] The C library asks for CPU clocks by the numbers that clock_getcpuclockid(3) makes of pids. Of those of
 * other processes there are no timers. */
static int set_cpu_clock(struct task *t, struct posix_timer *pt, clockid_t clock)
{
    pid_t pid = ~(clock >> 3);
    bool per_thread = clock & 4;
    struct task *o = pid ? task_by_tid(t->process->container->pids, pid) : t;
    if (!o || o->process != t->process || o->exited || (clock & 3) != CPUCLOCK_SCHED)
        return -EINVAL;
    if (!per_thread && pid && pid != t->process->pid)
        return -EINVAL;
    pt->clock = per_thread ? CLOCK_THREAD_CPUTIME_ID : CLOCK_PROCESS_CPUTIME_ID;
    pt->clocked = per_thread ? task_get(o) : NULL;
    return 0;
}

/* [T] */
static int set_clock(struct task *t, struct posix_timer *pt, clockid_t clock)
{
    if (clock < 0)
        return set_cpu_clock(t, pt, clock);
    pt->clock = clock;
    pt->clocked = clock == CLOCK_THREAD_CPUTIME_ID ? task_get(t) : NULL;
    return check_clock(clock);
}

/* [T] */
static int apply_event(struct task *t, struct posix_timer *pt, const struct user_sigevent *ev)
{
    pt->notify = ev->notify;
    pt->signo = ev->signo;
    if (ev->notify == SIGEV_NONE)
        return 0;
    if (ev->notify != SIGEV_SIGNAL && ev->notify != SIGEV_THREAD && ev->notify != SIGEV_THREAD_ID)
        return -EINVAL;
    if (ev->signo < 1 || ev->signo > KSIG_MAX)
        return -EINVAL;
    if (ev->notify != SIGEV_THREAD_ID)
        return 0;
    struct task *target = task_by_tid(t->process->container->pids, ev->tid);
    if (!target || target->process != t->process || target->exited)
        return -EINVAL;
    pt->thread = task_get(target);
    return 0;
}

/* [T] The new timer's number, or -errno. */
static int admit(struct task *t, struct posix_timer *pt, struct user_sigevent *ev, bool default_event)
{
    struct process *p = t->process;
    struct posix_timer *other;
    int n = 0;
    DL_COUNT(p->timers, other, n);
    if (n >= TIMERS_MAX)
        return -EAGAIN;
    int r = apply_event(t, pt, ev);
    if (r)
        return r;
    do {
        pt->id = p->next_timer_id;
        p->next_timer_id = p->next_timer_id == INT32_MAX ? 0 : p->next_timer_id + 1;
    } while (find(t, pt->id));
    siginfo_t *info = &pt->entry.info;
    info->si_signo = pt->signo;
    info->si_code = SI_TIMER;
    info->si_timerid = pt->id;
    info->si_value.sival_ptr =
        (void *)(uintptr_t)(default_event ? (uint64_t)pt->id : ev->value); /* opaque: the guest's */
    pt->entry.timer = pt;
    DL_APPEND(p->timers, pt);
    return pt->id;
}

long sys_timer_create(struct task *t, const struct sysargs *a)
{
    struct user_sigevent ev = {.signo = SIGALRM, .notify = SIGEV_SIGNAL};
    if (a->arg[1] && get_user(t, &ev, a->arg[1]) < 0)
        return -EFAULT;
    struct posix_timer *pt = calloc(1, sizeof(*pt));
    if (!pt)
        return -EAGAIN;
    pt->timer.fire = timer_fire;
    pt->process = t->process;
    int r;
    quiet_await_clock(t, (clockid_t)a->arg[0]);
    {
        LOCKED(&kernel.tasklist_lock);
        r = set_clock(t, pt, (clockid_t)a->arg[0]);
        if (r == 0)
            r = admit(t, pt, &ev, !a->arg[1]);
    }
    if (r < 0) {
        timer_free(pt);
        return r;
    }
    if (put_user(t, r, int32_t, a->arg[2]) == 0)
        return 0;
    LOCKED(&kernel.tasklist_lock);
    pt = find(t, r);
    if (pt)
        timer_remove(t->process, pt);
    return -EFAULT;
}

static void timer_read(const struct posix_timer *pt, struct itimerspec *v)
{
    *v = (struct itimerspec){.it_interval = ns_ts(pt->interval)};
    if (!pt->target)
        return;
    int64_t left = pt->target - clock_now(pt);
    v->it_value = ns_ts(left < 1 ? 1 : left);
}

static bool timespec_ok(const struct timespec *ts)
{
    return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < NSEC_PER_SEC;
}

static int64_t clamp_ns(const struct timespec *ts)
{
    const int64_t max_sec = INT64_MAX / NSEC_PER_SEC / 4;
    return ts->tv_sec > max_sec ? max_sec * NSEC_PER_SEC : ts_ns(ts);
}

static void timer_arm(struct posix_timer *pt, const struct itimerspec *v, bool absolute)
{
    ktimer_cancel(&pt->timer);
    pt->interval = clamp_ns(&v->it_interval);
    pt->target = 0;
    pt->overrun = 0;
    int64_t value = clamp_ns(&v->it_value);
    if (!value)
        return;
    int64_t now = clock_now(pt);
    pt->target = absolute ? value : now + value;
    int64_t left = pt->target - now;
    ktimer_set(&pt->timer, mono_now() + (left > 0 ? wall_for(pt, left) : 0));
}

long sys_timer_settime(struct task *t, const struct sysargs *a)
{
    struct itimerspec v, old;
    if (get_user(t, &v, a->arg[2]) < 0)
        return a->arg[2] ? -EFAULT : -EINVAL;
    if (!timespec_ok(&v.it_value) || !timespec_ok(&v.it_interval))
        return -EINVAL;
    {
        LOCKED(&kernel.tasklist_lock);
        struct posix_timer *pt = find(t, (int)a->arg[0]);
        if (!pt)
            return -EINVAL;
        timer_read(pt, &old);
        timer_arm(pt, &v, a->arg[1] & TIMER_ABSTIME);
    }
    return a->arg[3] ? copy_to_user(t, a->arg[3], &old, sizeof(old)) : 0;
}

long sys_timer_gettime(struct task *t, const struct sysargs *a)
{
    struct itimerspec v;
    {
        LOCKED(&kernel.tasklist_lock);
        const struct posix_timer *pt = find(t, (int)a->arg[0]);
        if (!pt)
            return -EINVAL;
        timer_read(pt, &v);
    }
    return copy_to_user(t, a->arg[1], &v, sizeof(v));
}

long sys_timer_getoverrun(struct task *t, const struct sysargs *a)
{
    LOCKED(&kernel.tasklist_lock);
    const struct posix_timer *pt = find(t, (int)a->arg[0]);
    return pt ? pt->last_overrun : -EINVAL;
}

long sys_timer_delete(struct task *t, const struct sysargs *a)
{
    LOCKED(&kernel.tasklist_lock);
    struct posix_timer *pt = find(t, (int)a->arg[0]);
    if (!pt)
        return -EINVAL;
    timer_remove(t->process, pt);
    return 0;
}
