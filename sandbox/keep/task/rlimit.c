/* Resource limits and usage. What the keep hands out it limits itself; what the host hands out (memory, CPU,
 * locks on memory) the host is told of. */
#include <linux/capability.h>
#include <sys/syscall.h>

#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task_internal.h"
#include "sandbox/keep/mm/uaccess.h"

static bool host_enforces(int resource)
{
    switch (resource) {
    case RLIMIT_AS:
    case RLIMIT_DATA:
    case RLIMIT_STACK:
    case RLIMIT_CPU:
    case RLIMIT_FSIZE:
    case RLIMIT_MEMLOCK:
        return true;
    default:
        return false;
    }
}

/* Best effort: the gate's own pages count, and what the host's hard limit forbids stays forbidden. */
static void tell_host(const struct process *p, int resource, const struct rlimit *r)
{
    struct rlimit host = *r, now;
    if (!host_enforces(resource) || p->host_pid <= 0 || p->state != PROCESS_ALIVE)
        return;
    if (prlimit(p->host_pid, (enum __rlimit_resource)resource, NULL, &now) < 0)
        return;
    if (resource != RLIMIT_CPU || host.rlim_max > now.rlim_max)
        host.rlim_max = now.rlim_max; /* the guest may raise it again within what it was given */
    if (host.rlim_cur > host.rlim_max)
        host.rlim_cur = host.rlim_max;
    (void)prlimit(p->host_pid, (enum __rlimit_resource)resource, &host, NULL);
}

void rlimits_tell_host(const struct process *p)
{
    for (int i = 0; i < RLIM_NLIMITS; i++)
        tell_host(p, i, &p->rlim[i]);
}

#define NR_OPEN 1048576

static int check_new_limit(const struct task *t, int resource, const struct rlimit *old,
                           const struct rlimit *new)
{
    if (new->rlim_cur > new->rlim_max)
        return -EINVAL;
    if (resource == RLIMIT_NOFILE && new->rlim_max != old->rlim_max &&new->rlim_max > NR_OPEN)
        return -EPERM;
    if (new->rlim_max > old->rlim_max && !capable(t, CAP_SYS_RESOURCE))
        return -EPERM;
    return 0;
}

/* [T] */
static int may_limit(const struct task *t, const struct process *p)
{
    const struct cred *c = t->cred, *o = p->leader ? p->leader->cred : NULL;
    if (p == t->process || capable(t, CAP_SYS_RESOURCE))
        return 0;
    bool same = o && c->uid == o->uid && c->uid == o->euid && c->uid == o->suid && c->gid == o->gid &&
                c->gid == o->egid && c->gid == o->sgid;
    return same ? 0 : -EPERM;
}

static long do_prlimit(struct task *t, pid_t pid, int resource, const struct rlimit *new, struct rlimit *old)
{
    LOCKED(&kernel.tasklist_lock);
    const struct task *other = pid ? task_by_tid(t->process->container->pids, pid) : t;
    if (!other)
        return -ESRCH;
    struct process *p = other->process;
    int r = may_limit(t, p);
    if (r)
        return r;
    if (resource < 0 || resource >= RLIM_NLIMITS)
        return -EINVAL;
    *old = p->rlim[resource];
    if (!new)
        return 0;
    r = check_new_limit(t, resource, old, new);
    if (r)
        return r;
    p->rlim[resource] = *new;
    fast_limits_changed(p);
    tell_host(p, resource, new);
    return 0;
}

long sys_prlimit64(struct task *t, const struct sysargs *a)
{
    struct rlimit new, old;
    if (a->arg[2] && get_user(t, &new, a->arg[2]) < 0)
        return -EFAULT;
    long r = do_prlimit(t, (pid_t)a->arg[0], (int)a->arg[1], a->arg[2] ? &new : NULL, &old);
    if (r || !a->arg[3])
        return r;
    return copy_to_user(t, a->arg[3], &old, sizeof(old));
}

long sys_getrlimit(struct task *t, const struct sysargs *a)
{
    struct rlimit old;
    long r = do_prlimit(t, 0, (int)a->arg[0], NULL, &old);
    return r ? r : copy_to_user(t, a->arg[1], &old, sizeof(old));
}

long sys_setrlimit(struct task *t, const struct sysargs *a)
{
    struct rlimit new, old;
    if (get_user(t, &new, a->arg[1]) < 0)
        return -EFAULT;
    return do_prlimit(t, 0, (int)a->arg[0], &new, &old);
}

/* Usage ----------------------------------------------------------------------------------------------------
 */

static struct timeval ts_tv(struct timespec ts)
{
    return (struct timeval){.tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000};
}

long sys_getrusage(struct task *t, const struct sysargs *a)
{
    const struct process *p = t->process;
    struct rusage ru = {0};
    struct timespec ut, st;
    p->container->count_memory = true;
    switch ((int)a->arg[0]) {
    case RUSAGE_SELF:
        process_cputime(p, &ut, &st);
        ru.ru_utime = ts_tv(ut);
        ru.ru_stime = ts_tv(st);
        ru.ru_maxrss = process_maxrss(p);
        break;
    case RUSAGE_THREAD:
        return SYS_CONTINUE; /* the host's count of this very thread */
    case RUSAGE_CHILDREN: {
        LOCKED(&kernel.tasklist_lock);
        ru.ru_utime = ts_tv(p->cutime);
        ru.ru_stime = ts_tv(p->cstime);
        ru.ru_maxrss = p->cmaxrss;
        break;
    }
    default:
        return -EINVAL;
    }
    return copy_to_user(t, a->arg[1], &ru, sizeof(ru));
}
