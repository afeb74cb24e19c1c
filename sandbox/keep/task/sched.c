/* Scheduling. Policies and priorities are kept and reported; the host runs guests at its own (the guest's
 * nice is passed on where the host allows). Affinity is the host's. */
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>

#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/pseudo/procfs.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task_internal.h"
#include "sandbox/keep/mm/uaccess.h"

#define SCHED_DEADLINE_ 6
#define SCHED_RESET_ON_FORK_ 0x40000000
#define FLAG_RESET_ON_FORK 1
#define ATTR_SIZE_VER0 48U
#define ATTR_SIZE 56U

struct sched_attr_user {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t util_min, util_max;
};

/* [T] */
static struct task *target(const struct task *t, pid_t pid)
{
    return pid ? task_by_tid(t->process->container->pids, pid) : (struct task *)t;
}

static bool is_realtime(int policy)
{
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

/* [T] Whether t may change o's scheduling at all. */
static bool may_schedule(const struct task *t, const struct task *o)
{
    return t->cred->euid == o->cred->uid || t->cred->euid == o->cred->euid || capable(t, CAP_SYS_NICE);
}

static bool may_nice(const struct task *t, const struct task *o, int nice)
{
    rlim_t floor = o->process->rlim[RLIMIT_NICE].rlim_cur;
    return nice >= o->nice || (rlim_t)(20 - nice) <= floor || capable(t, CAP_SYS_NICE);
}

static int check_policy(const struct task *t, const struct task *o, const struct sched_attr_user *s)
{
    int policy = (int)s->policy;
    if (policy < 0 || policy > SCHED_DEADLINE_ || policy == 4)
        return -EINVAL;
    if (is_realtime(policy) ? s->priority < 1 || s->priority > 99 : s->priority != 0)
        return -EINVAL;
    if (!may_schedule(t, o))
        return -EPERM;
    if (capable(t, CAP_SYS_NICE))
        return 0;
    if (policy == SCHED_DEADLINE_ || !may_nice(t, o, s->nice))
        return -EPERM;
    if (is_realtime(policy)) {
        rlim_t limit = o->process->rlim[RLIMIT_RTPRIO].rlim_cur;
        bool same = policy == o->sched_policy && (int)s->priority <= o->sched_priority;
        if (!same && s->priority > limit)
            return -EPERM;
    }
    return o->sched_reset_on_fork && !(s->flags & FLAG_RESET_ON_FORK) ? -EPERM : 0;
}

/* [T] Passed on as far as the host agrees; a failure is not the guest's to see. */
void task_tell_nice(struct task *o)
{
    if (o->exited) /* its number on the host may be another's */
        return;
    if (o->host_tid)
        (void)syscall(SYS_setpriority, PRIO_PROCESS, o->host_tid, o->nice);
    else
        quiet_call(o);
    o->nice_owed = !o->host_tid;
}

static long apply(struct task *t, pid_t pid, const struct sched_attr_user *s)
{
    LOCKED(&kernel.tasklist_lock);
    struct task *o = target(t, pid);
    if (!o)
        return -ESRCH;
    struct sched_attr_user want = *s;
    if (is_realtime((int)want.policy) || want.policy == SCHED_DEADLINE_)
        want.nice = o->nice;
    int r = check_policy(t, o, &want);
    if (r)
        return r;
    o->sched_policy = (int)want.policy;
    o->sched_priority = (int)want.priority;
    o->sched_reset_on_fork = want.flags & FLAG_RESET_ON_FORK;
    o->sched_runtime = want.runtime;
    o->sched_deadline = want.deadline;
    o->sched_period = want.period;
    if (o->nice != want.nice) {
        o->nice = want.nice;
        task_tell_nice(o);
    }
    return 0;
}

static int current_nice(struct task *t, pid_t pid)
{
    LOCKED(&kernel.tasklist_lock);
    const struct task *o = target(t, pid);
    return o ? o->nice : 0;
}

long sys_sched_setscheduler(struct task *t, const struct sysargs *a)
{
    pid_t pid = (pid_t)a->arg[0];
    int policy = (int)a->arg[1], priority;
    if (pid < 0 || policy < 0 || !a->arg[2])
        return -EINVAL;
    if (get_user(t, &priority, a->arg[2]) < 0)
        return -EFAULT;
    struct sched_attr_user s = {.policy = (uint32_t)(policy & ~SCHED_RESET_ON_FORK_),
                                .flags = policy & SCHED_RESET_ON_FORK_ ? FLAG_RESET_ON_FORK : 0,
                                .priority = (uint32_t)priority,
                                .nice = current_nice(t, pid)};
    return s.policy == SCHED_DEADLINE_ ? -EINVAL : apply(t, pid, &s);
}

long sys_sched_setparam(struct task *t, const struct sysargs *a)
{
    pid_t pid = (pid_t)a->arg[0];
    int priority;
    struct sched_attr_user s = {0};
    if (pid < 0 || !a->arg[1])
        return -EINVAL;
    if (get_user(t, &priority, a->arg[1]) < 0)
        return -EFAULT;
    {
        LOCKED(&kernel.tasklist_lock);
        const struct task *o = target(t, pid);
        if (!o)
            return -ESRCH;
        s.policy = (uint32_t)o->sched_policy;
        s.nice = o->nice;
        s.flags = o->sched_reset_on_fork ? FLAG_RESET_ON_FORK : 0;
        s.priority = (uint32_t)priority;
    }
    return apply(t, pid, &s);
}

long sys_sched_getscheduler(struct task *t, const struct sysargs *a)
{
    if ((pid_t)a->arg[0] < 0)
        return -EINVAL;
    LOCKED(&kernel.tasklist_lock);
    const struct task *o = target(t, (pid_t)a->arg[0]);
    if (!o)
        return -ESRCH;
    return o->sched_policy | (o->sched_reset_on_fork ? SCHED_RESET_ON_FORK_ : 0);
}

long sys_sched_getparam(struct task *t, const struct sysargs *a)
{
    int priority;
    if ((pid_t)a->arg[0] < 0 || !a->arg[1])
        return -EINVAL;
    {
        LOCKED(&kernel.tasklist_lock);
        const struct task *o = target(t, (pid_t)a->arg[0]);
        if (!o)
            return -ESRCH;
        priority = o->sched_priority;
    }
    return put_user(t, priority, int, a->arg[1]);
}

/* Newer and longer structures are accepted as long as what is unknown is 0 (sched_setattr(2)). */
static int get_attr(struct task *t, uaddr_t addr, struct sched_attr_user *s)
{
    uint32_t size;
    unsigned char rest[4096] = {0};
    if (get_user(t, &size, addr) < 0)
        return -EFAULT;
    if (size == 0)
        size = ATTR_SIZE_VER0;
    if (size < ATTR_SIZE_VER0 || size > sizeof(rest))
        return put_user(t, ATTR_SIZE, uint32_t, addr) < 0 ? -EFAULT : -E2BIG;
    if (copy_from_user(t, rest, addr, size) < 0)
        return -EFAULT;
    memset(s, 0, sizeof(*s));
    memcpy(s, rest, size < ATTR_SIZE ? size : ATTR_SIZE);
    for (uint32_t i = ATTR_SIZE; i < size; i++)
        if (rest[i])
            return put_user(t, ATTR_SIZE, uint32_t, addr) < 0 ? -EFAULT : -E2BIG;
    return 0;
}

long sys_sched_setattr(struct task *t, const struct sysargs *a)
{
    struct sched_attr_user s;
    pid_t pid = (pid_t)a->arg[0];
    if (pid < 0 || !a->arg[1] || a->arg[2])
        return -EINVAL;
    int r = get_attr(t, a->arg[1], &s);
    if (r)
        return r;
    if (s.flags & ~0x7fULL)
        return -EINVAL;
    if (s.nice < -20)
        s.nice = -20;
    if (s.nice > 19)
        s.nice = 19;
    return apply(t, pid, &s);
}

long sys_sched_getattr(struct task *t, const struct sysargs *a)
{
    pid_t pid = (pid_t)a->arg[0];
    size_t size = (uint32_t)a->arg[2];
    if (pid < 0 || !a->arg[1] || size < ATTR_SIZE_VER0 || size > 4096 || a->arg[3])
        return -EINVAL;
    struct sched_attr_user s = {0};
    {
        LOCKED(&kernel.tasklist_lock);
        const struct task *o = target(t, pid);
        if (!o)
            return -ESRCH;
        s.policy = (uint32_t)o->sched_policy;
        s.flags = o->sched_reset_on_fork ? FLAG_RESET_ON_FORK : 0;
        s.nice = is_realtime(o->sched_policy) ? 0 : o->nice;
        s.priority = (uint32_t)o->sched_priority;
        s.runtime = o->sched_runtime;
        s.deadline = o->sched_deadline;
        s.period = o->sched_period;
        s.util_max = 1024;
    }
    if (size > ATTR_SIZE)
        size = ATTR_SIZE;
    s.size = (uint32_t)size;
    return copy_to_user(t, a->arg[1], &s, size);
}

static long priority_bound(int policy, long realtime)
{
    if (is_realtime(policy))
        return realtime;
    return policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE || policy == SCHED_DEADLINE_
               ? 0
               : -EINVAL;
}

long sys_sched_get_priority_max(struct task *t, const struct sysargs *a)
{
    (void)t;
    return priority_bound((int)a->arg[0], 99);
}

long sys_sched_get_priority_min(struct task *t, const struct sysargs *a)
{
    (void)t;
    return priority_bound((int)a->arg[0], 1);
}

long sys_sched_rr_get_interval(struct task *t, const struct sysargs *a)
{
    struct timespec ts = {.tv_nsec = 4000000};
    if ((pid_t)a->arg[0] < 0)
        return -EINVAL;
    {
        LOCKED(&kernel.tasklist_lock);
        const struct task *o = target(t, (pid_t)a->arg[0]);
        if (!o)
            return -ESRCH;
        if (is_realtime(o->sched_policy))
            ts.tv_nsec = o->sched_policy == SCHED_RR ? 100000000 : 0;
    }
    return copy_to_user(t, a->arg[1], &ts, sizeof(ts));
}

/* Affinity -------------------------------------------------------------------------------------------------
 */

#define MASK_BYTES 1024 /* 8192 CPUs */

/* The thread's number on the host, and a reference to its table. */
static pid_t host_tid_of(const struct task *t, pid_t pid, bool to_change, struct fdtable **table, int *err)
{
    LOCKED(&kernel.tasklist_lock);
    const struct task *o = target(t, pid);
    *err = !o || !o->host_tid || !o->fdt ? -ESRCH : to_change && !may_schedule(t, o) ? -EPERM : 0;
    *table = *err ? NULL : fdtable_get(o->fdt);
    return *err ? 0 : o->host_tid;
}

/* set_, or get, once the keep itself holds no thread of the table on one CPU. As the host's call. */
static long affinity(struct fdtable *table, bool set_, pid_t host_tid, size_t n, unsigned long *mask)
{
    long r;
    {
        LOCKED(fdtable_pins(table));
        r = syscall(set_ ? SYS_sched_setaffinity : SYS_sched_getaffinity, host_tid, n, mask);
        r = r < 0 ? -errno : r;
    }
    fdtable_put(table);
    return r;
}

/* CPUs that /proc does not show are none of the guest's; it always has one. */
static void hide_cpus(const struct container *c, unsigned long mask[CPU_WORDS])
{
    unsigned long visible[CPU_WORDS];
    bool any = false;
    (void)procfs_cpus(c, visible);
    for (size_t i = 0; i < CPU_WORDS; i++)
        any |= (mask[i] & visible[i]) != 0;
    for (size_t i = 0; i < CPU_WORDS; i++)
        mask[i] = any ? mask[i] & visible[i] : visible[i];
}

long sys_sched_getaffinity(struct task *t, const struct sysargs *a)
{
    unsigned long mask[MASK_BYTES / sizeof(unsigned long)] = {0};
    size_t len = (uint32_t)a->arg[1];
    int err;
    if (len % sizeof(unsigned long) || len == 0)
        return -EINVAL;
    quiet_await_pid(t, (pid_t)a->arg[0]);
    struct fdtable *table;
    pid_t host_tid = host_tid_of(t, (pid_t)a->arg[0], false, &table, &err);
    if (err)
        return err;
    long n = affinity(table, false, host_tid, len < sizeof(mask) ? len : sizeof(mask), mask);
    if (n < 0)
        return n;
    hide_cpus(t->process->container, mask);
    return copy_to_user(t, a->arg[2], mask, (size_t)n) < 0 ? -EFAULT : n;
}

long sys_sched_setaffinity(struct task *t, const struct sysargs *a)
{
    unsigned long mask[MASK_BYTES / sizeof(unsigned long)] = {0};
    size_t len = (uint32_t)a->arg[1];
    int err;
    if (len > sizeof(mask))
        len = sizeof(mask);
    if (copy_from_user(t, mask, a->arg[2], len) < 0)
        return -EFAULT;
    quiet_await_pid(t, (pid_t)a->arg[0]);
    struct fdtable *table;
    pid_t host_tid = host_tid_of(t, (pid_t)a->arg[0], true, &table, &err);
    return err ? err : affinity(table, true, host_tid, sizeof(mask), mask);
}

/* Nice -----------------------------------------------------------------------------------------------------
 */

static bool in_set(const struct task *t, const struct task *o, int which, int who)
{
    switch (which) {
    case PRIO_PROCESS:
        return o->tid == (who ? who : t->tid);
    case PRIO_PGRP:
        return o->process->pgid == (who ? who : t->process->pgid);
    default:
        return o->cred->uid == (who ? (uid_t)who : t->cred->uid);
    }
}

long sys_getpriority(struct task *t, const struct sysargs *a)
{
    int which = (int)a->arg[0], best = -1;
    if (which < PRIO_PROCESS || which > PRIO_USER)
        return -EINVAL;
    LOCKED(&kernel.tasklist_lock);
    for (const struct task *o = t->process->container->pids->tids; o; o = o->hh_tid.next)
        if (in_set(t, o, which, (int)a->arg[1]) && 20 - o->nice > best)
            best = 20 - o->nice;
    return best < 0 ? -ESRCH : best;
}

static int set_one_nice(const struct task *t, struct task *o, int nice)
{
    bool owner = t->cred->euid == o->cred->uid || t->cred->uid == o->cred->uid || capable(t, CAP_SYS_NICE);
    if (!owner)
        return -EPERM;
    if (!may_nice(t, o, nice))
        return -EACCES;
    o->nice = nice;
    task_tell_nice(o);
    return 0;
}

long sys_setpriority(struct task *t, const struct sysargs *a)
{
    int which = (int)a->arg[0], nice = (int)a->arg[2], r = -ESRCH;
    if (which < PRIO_PROCESS || which > PRIO_USER)
        return -EINVAL;
    nice = nice < -20 ? -20 : nice > 19 ? 19 : nice;
    LOCKED(&kernel.tasklist_lock);
    for (struct task *o = t->process->container->pids->tids; o; o = o->hh_tid.next) {
        if (!in_set(t, o, which, (int)a->arg[1]))
            continue;
        int one = set_one_nice(t, o, nice);
        if (r == -ESRCH || one)
            r = one;
    }
    return r;
}

/* I/O priority: kept and reported. */
#define IOPRIO_CLASS_SHIFT 13
#define IOPRIO_LEVEL_MASK 7 /* hints lie above */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_WHO_USER 3

long sys_ioprio_get(struct task *t, const struct sysargs *a)
{
    int which = (int)a->arg[0], best = -ESRCH;
    if (which < IOPRIO_WHO_PROCESS || which > IOPRIO_WHO_USER)
        return -EINVAL;
    LOCKED(&kernel.tasklist_lock);
    for (const struct task *o = t->process->container->pids->tids; o; o = o->hh_tid.next)
        if (in_set(t, o, which - IOPRIO_WHO_PROCESS, (int)a->arg[1]) && (best < 0 || o->ioprio < best))
            best = o->ioprio;
    return best;
}

int ioprio_check(const struct task *t, int prio)
{
    int class = prio >> IOPRIO_CLASS_SHIFT & 7;
    if (class > 3 || (class == 0 && (prio & IOPRIO_LEVEL_MASK)))
        return -EINVAL;
    return class == 1 && !capable(t, CAP_SYS_ADMIN) && !capable(t, CAP_SYS_NICE) ? -EPERM : 0;
}

long sys_ioprio_set(struct task *t, const struct sysargs *a)
{
    int which = (int)a->arg[0], prio = (int)a->arg[2], r = -ESRCH;
    if (which < IOPRIO_WHO_PROCESS || which > IOPRIO_WHO_USER)
        return -EINVAL;
    int bad = ioprio_check(t, prio);
    if (bad)
        return bad;
    LOCKED(&kernel.tasklist_lock);
    for (struct task *o = t->process->container->pids->tids; o; o = o->hh_tid.next) {
        if (!in_set(t, o, which - IOPRIO_WHO_PROCESS, (int)a->arg[1]))
            continue;
        r = may_schedule(t, o) ? 0 : -EPERM;
        if (r)
            break;
        o->ioprio = prio;
    }
    return r;
}

/* The CPU's own business
 * --------------------------------------------------------------------------------------- */

long sys_sched_yield(struct task *t, const struct sysargs *a)
{
    (void)t;
    (void)a;
    return SYS_CONTINUE;
}

long sys_getcpu(struct task *t, const struct sysargs *a)
{
    (void)t;
    (void)a;
    return SYS_CONTINUE;
}

long sys_membarrier(struct task *t, const struct sysargs *a)
{
    (void)t;
    (void)a;
    return SYS_CONTINUE;
}
