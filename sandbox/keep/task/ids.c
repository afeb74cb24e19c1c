/* Numbers of processes, groups and sessions, and a task's small registrations. */
#include <sys/personality.h>

#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task_internal.h"
#include "sandbox/keep/device/tty.h"
#include "sandbox/keep/mm/uaccess.h"

long sys_getpid(struct task *t, const struct sysargs *a)
{
    (void)a;
    return t->process->pid;
}

long sys_gettid(struct task *t, const struct sysargs *a)
{
    (void)a;
    return t->tid;
}

long sys_getppid(struct task *t, const struct sysargs *a)
{
    (void)a;
    LOCKED(&kernel.tasklist_lock);
    return t->process->parent ? t->process->parent->pid : 0;
}

long sys_getpgrp(struct task *t, const struct sysargs *a)
{
    (void)a;
    return t->process->pgid;
}

/* [T] 0 is t itself; any thread's number stands for its process. */
static const struct process *process_of(const struct task *t, pid_t pid)
{
    if (pid == 0)
        return t->process;
    const struct task *other = task_by_tid(t->process->container->pids, pid);
    return other ? other->process : NULL;
}

long sys_getpgid(struct task *t, const struct sysargs *a)
{
    LOCKED(&kernel.tasklist_lock);
    const struct process *p = process_of(t, (pid_t)a->arg[0]);
    return p ? p->pgid : -ESRCH;
}

long sys_getsid(struct task *t, const struct sysargs *a)
{
    LOCKED(&kernel.tasklist_lock);
    const struct process *p = process_of(t, (pid_t)a->arg[0]);
    return p ? p->sid : -ESRCH;
}

/* [T] A process of that group in that session (0: any). */
static const struct process *find_group(const struct pid_ns *ns, pid_t pgid, pid_t sid)
{
    for (const struct process *p = ns->processes; p; p = p->hh_pid.next)
        if (p->pgid == pgid && (!sid || p->sid == sid))
            return p;
    return NULL;
}

long sys_setpgid(struct task *t, const struct sysargs *a)
{
    const struct process *self = t->process;
    pid_t pid = (pid_t)a->arg[0], pgid = (pid_t)a->arg[1];
    if (pid == 0)
        pid = self->pid;
    if (pgid == 0)
        pgid = pid;
    if (pgid < 0)
        return -EINVAL;
    LOCKED(&kernel.tasklist_lock);
    struct process *p = process_by_pid(self->container->pids, pid);
    if (!p)
        return task_by_tid(self->container->pids, pid) ? -EINVAL : -ESRCH;
    if (p != self && p->parent != self)
        return -ESRCH;
    if (p != self && p->sid != self->sid)
        return -EPERM;
    if (p != self && p->did_exec)
        return -EACCES;
    if (p->sid == p->pid)
        return -EPERM;
    if (pgid != pid && !find_group(self->container->pids, pgid, self->sid))
        return -EPERM;
    p->pgid = pgid;
    return 0;
}

long sys_setsid(struct task *t, const struct sysargs *a)
{
    (void)a;
    struct process *p = t->process;
    struct tty *old;
    {
        LOCKED(&kernel.tasklist_lock);
        if (p->sid == p->pid || find_group(p->container->pids, p->pid, 0))
            return -EPERM;
        p->sid = p->pgid = p->pid;
        old = steal_ptr(&p->ctty);
    }
    if (old)
        tty_put(old);
    return p->pid;
}

/* The tid is the keep's count, which the host cannot be told: so the keep clears the word at the thread's
 * exit. */
long sys_set_tid_address(struct task *t, const struct sysargs *a)
{
    t->clear_child_tid = a->arg[0];
    return t->tid;
}

#define ROBUST_HEAD_SIZE 24

long sys_set_robust_list(struct task *t, const struct sysargs *a)
{
    if (a->arg[1] != ROBUST_HEAD_SIZE)
        return -EINVAL;
    t->robust_list = a->arg[0];
    if (t->mask_in_slot)
        (void)put_user(t, t->robust_list, uint64_t, t->slot + offsetof(struct gate_slot, robust));
    return 0;
}

long sys_get_robust_list(struct task *t, const struct sysargs *a)
{
    uaddr_t head;
    {
        LOCKED(&kernel.tasklist_lock);
        pid_t tid = (pid_t)a->arg[0];
        struct task *other = tid ? task_by_tid(t->process->container->pids, tid) : t;
        if (!other)
            return -ESRCH;
        if (other->process != t->process && !may_signal(t, other->process, 0))
            return -EPERM;
        head = task_robust_list(other);
    }
    if (put_user(t, ROBUST_HEAD_SIZE, uint64_t, a->arg[2]) < 0)
        return -EFAULT;
    return put_user(t, head, uint64_t, a->arg[1]);
}

/* Kept, reported, inherited. Address space layout is the host's, whatever it says. */
long sys_personality(struct task *t, const struct sysargs *a)
{
    unsigned long old = t->personality;
    if ((uint32_t)a->arg[0] != 0xffffffff)
        t->personality = (uint32_t)a->arg[0];
    return (long)old;
}
