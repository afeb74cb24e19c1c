/* clone, fork and vfork: the child as the keep knows it. The host's thread is made by the gate, then
 * attached. */
#include <linux/capability.h>
#include <sched.h>
#include <string.h>

#include "sandbox/keep/device/tty.h"
#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/seccomp/seccomp.h"
#include "sandbox/keep/signal/sigmask.h"
#include "sandbox/keep/task/task_internal.h"

#define CLONE_NS_FLAGS                                                                                       \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |            \
     CLONE_NEWNET)

static int check_flags(const struct task *parent, unsigned long flags)
{
    if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND))
        return -EINVAL;
    if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM))
        return -EINVAL;
    if ((flags & CLONE_FS) && (flags & (CLONE_NEWNS | CLONE_NEWUSER)))
        return -EINVAL;
    if ((flags & CLONE_THREAD) && (flags & (CLONE_NEWUSER | CLONE_NEWPID)))
        return -EINVAL;
    if ((flags & CLONE_PARENT) && parent->process->is_init)
        return -EINVAL;
    return flags & CLONE_NS_FLAGS ? -EPERM : 0; /* see sys_unshare */
}

/* [T] Linux counts threads by real uid, zombies until they are reaped, and spares root. */
static bool over_nproc(const struct task *parent)
{
    rlim_t limit = parent->process->rlim[RLIMIT_NPROC].rlim_cur;
    if (limit == RLIM_INFINITY || parent->cred->uid == 0 || capable(parent, CAP_SYS_RESOURCE) ||
        capable(parent, CAP_SYS_ADMIN))
        return false;
    rlim_t n = 0;
    const struct task *t;
    for (t = parent->process->container->pids->tids; t; t = t->hh_tid.next)
        n += t->cred->uid == parent->cred->uid;
    return n >= limit;
}

/* [T] The host's cgroup counts host processes, of which a zombie has none: without this, a fork bomb makes
 * zombies without end, and who waits for one of them starves. */
static bool over_pids_limit(const struct container *c)
{
    uint64_t limit = c->cgroup ? keep_cgroup_pids_max(c) : c->pids_limit ? c->pids_limit : UINT64_MAX;
    return c->ntasks >= limit;
}

void task_copy_mask(struct task *child, struct task *parent)
{
    LOCKED(&kernel.tasklist_lock);
    child->blocked = parent->restore_mask ? parent->saved_mask : task_mask(parent);
}

static void copy_sched(struct task *child, const struct task *parent)
{
    child->sched_policy = parent->sched_policy;
    child->sched_priority = parent->sched_priority;
    child->nice = parent->nice;
    child->ioprio = parent->ioprio;
    if (!parent->sched_reset_on_fork)
        return;
    child->sched_policy = SCHED_OTHER;
    child->sched_priority = 0;
    if (child->nice < 0)
        child->nice = 0;
}

/* What a new thread and a new process's first thread have in common. */
static struct task *task_copy(struct process *p, struct task *parent, unsigned long flags)
{
    struct task *t = task_new(p);
    if (!t)
        return NULL;
    memcpy(t->comm, parent->comm, sizeof(t->comm));
    t->cred = cred_get(parent->cred);
    if (!(flags & CLONE_THREAD) || !task_mask_is_in_slot(parent)) /* else see sys_clone */
        task_copy_mask(t, parent);
    copy_sched(t, parent);
    t->personality = parent->personality;
    t->mempolicy = parent->mempolicy;
    t->mempolicy_nodes = parent->mempolicy_nodes;
    t->timer_slack = t->default_slack = parent->timer_slack;
    t->listener = parent->listener;
    t->login_uid = parent->login_uid;
    t->login_session = parent->login_session;
    t->vfork_child = flags & CLONE_VFORK;
    fdtable_fetch_left(parent->fdt);
    t->fs = flags & CLONE_FS ? fs_get(parent->fs) : fs_dup(parent->fs);
    t->fdt = flags & CLONE_FILES ? fdtable_get(parent->fdt) : fdtable_dup(parent->fdt);
    return t;
}

static void task_discard(struct task *t)
{
    if (t->fs)
        fs_put(t->fs);
    if (t->fdt)
        fdtable_put(t->fdt);
    t->fs = NULL;
    t->fdt = NULL;
    task_put(t);
}

/* A child process: not yet linked, so no lock. The parent's own fields cannot change under its own call but
 * for what signals do, which are read under the lock by the caller. */
static struct process *process_copy(struct process *pp, unsigned long flags)
{
    struct process *p = process_new(pp->container);
    if (!p)
        return NULL;
    if (flags & CLONE_SIGHAND) {
        p->sighand = pp->sighand;
        atomic_fetch_add(&p->sighand->refs, 1);
    } else {
        p->sighand = sighand_dup(pp->sighand);
    }
    p->mm = flags & CLONE_VM ? mm_get(pp->mm) : mm_dup(pp->mm);
    memcpy(p->rlim, pp->rlim, sizeof(p->rlim));
    p->limits_changed = pp->limits_changed;
    p->oom_score_adj = pp->oom_score_adj;
    p->pgid = pp->pgid;
    p->sid = pp->sid;
    p->ctty = pp->ctty ? tty_get(pp->ctty) : NULL;
    p->exit_signal = (int)(flags & CSIGNAL);
    return p;
}

/* [T] Gives numbers and links. 0 or -errno. */
static int admit(struct task *parent, struct task *t, unsigned long flags)
{
    struct process *pp = parent->process, *p = t->process;
    if (pp->group_exit)
        return -ERESTARTNOINTR;
    if (!container_is_alive(pp->container))
        return -ENOMEM;
    if (over_nproc(parent) || over_pids_limit(pp->container))
        return -EAGAIN;
    pid_t tid = pid_alloc(pp->container->pids);
    if (tid < 0)
        return tid;
    t->tid = tid;
    seccomp_inherit(t, parent); /* at the moment from which TSYNC finds t */
    task_link(t);
    pp->container->pids->forks++;
    if (flags & CLONE_THREAD)
        return 0;
    p->pid = tid;
    struct process *real_parent = flags & CLONE_PARENT ? pp->parent : pp;
    if (flags & CLONE_PARENT)
        p->exit_signal = pp->exit_signal;
    process_link(p, real_parent);
    return 0;
}

struct task *task_fork(struct task *parent, unsigned long flags, pid_t *ret_pid, int *err)
{
    struct process *pp = parent->process, *p;
    *err = check_flags(parent, flags);
    if (*err)
        return NULL;
    *err = -ENOMEM;
    bool thread = flags & CLONE_THREAD;
    if (thread) {
        p = process_get(pp);
    } else {
        LOCKED(&kernel.tasklist_lock);
        p = process_copy(pp, flags);
    }
    if (!p)
        return NULL;
    if (p->mm)
        fast_forked(parent, p->mm, flags);
    if ((flags & CLONE_SIGHAND) && !thread)
        fast_actions_changed(parent);
    struct task *t = p->sighand && p->mm ? task_copy(p, parent, flags) : NULL;
    if (t && t->fs && t->fdt) {
        LOCKED(&kernel.tasklist_lock);
        *err = admit(parent, t, flags);
        if (!*err) {
            *ret_pid = t->tid;
            task_get(t);
        }
    }
    if (*err && t)
        task_discard(t);
    if (*err || thread) /* a new process's reference is the table's now; a thread has its own */
        process_put(p);
    return *err ? NULL : t;
}

void task_fork_abort(struct task *child)
{
    struct process *p = child->process;
    struct fs *fs;
    struct fdtable *fdt;
    {
        LOCKED(&kernel.tasklist_lock);
        if (child->host_tid || (atomic_fetch_or(&child->life, TASK_EXITED | TASK_DYING) & TASK_EXITED))
            return;
        fs = steal_ptr(&child->fs);
        fdt = steal_ptr(&child->fdt);
        child->exited = true;
        seccomp_task_ended(child);
        p->nthreads--;
        if (p->leader == child) {
            sigpending_flush(p, &p->pending, ~0ULL);
            process_unlink(p); /* the leader, too */
        } else {
            task_unlink(child);
        }
    }
    if (fdt)
        fdtable_put(fdt);
    if (fs)
        fs_put(fs);
}
