/* pidfd_open, pidfd_getfd, and what other calls need of pidfds. */
#include "sandbox/keep/task/pidfd.h"

#include <linux/capability.h>
#include <sys/eventfd.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/fs/hostio.h"
#include "sandbox/keep/lanes/kept.h"
#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/pseudo/procfs.h"
#include "sandbox/keep/strbuf.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"

struct pidfd_wait {
    struct pidfd_wait *next, *prev; /* in process->pidfds; tasklist_lock */
    struct process *process;        /* a reference */
    int hostfd;                     /* the file's */
};

static void make_readable(const struct pidfd_wait *w)
{
    uint64_t one = 1;
    (void)!write(w->hostfd, &one, sizeof(one));
}

void pidfd_notify(struct process *p)
{
    struct pidfd_wait *w;
    DL_FOREACH(p->pidfds, w)
    make_readable(w);
}

static void detach(struct pidfd_wait *w)
{
    {
        LOCKED(&kernel.tasklist_lock);
        DL_DELETE(w->process->pidfds, w);
    }
    process_put(w->process);
    free(w);
}

static void pidfd_release(struct file *f)
{
    detach(f->priv);
}

/* The number, until it is reaped; after that it is nobody's. */
static void pidfd_fdinfo(struct task *t, struct file *f, struct strbuf *sb)
{
    const struct pidfd_wait *w = f->priv;
    LOCKED(&kernel.tasklist_lock);
    int pid = w->process->state == PROCESS_DEAD                            ? -1
              : w->process->container->pids == t->process->container->pids ? w->process->pid
                                                                           : 0;
    sb_printf(sb, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
}

static const struct file_ops pidfd_ops = {
    .name = "anon_inode:[pidfd]",
    .show_fdinfo = pidfd_fdinfo,
    .stat = hostio_stat,
    .release = pidfd_release,
};

int pidfd_install(struct task *t, struct process *p, unsigned flags)
{
    struct pidfd_wait *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->hostfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->hostfd < 0) {
        free(w);
        return -errno;
    }
    struct file *f = file_new(&pidfd_ops, O_RDWR | (flags & O_NONBLOCK), 0, w->hostfd, w);
    if (!f) {
        (void)close(w->hostfd);
        free(w);
        return -ENOMEM;
    }
    {
        LOCKED(&kernel.tasklist_lock);
        w->process = process_get(p);
        DL_APPEND(p->pidfds, w);
        if (p->state != PROCESS_ALIVE)
            make_readable(w);
    }
    int r = fd_install(t, f, true, 0);
    if (r < 0) /* out of the list, before what it names is another file */
        file_put(f);
    return r;
}

struct process *pidfd_process(struct task *t, int fd, bool *nonblock, int *err)
{
    _cleanup_file_ struct file *f = fd_get(t, fd);
    if (!f || f->ops != &pidfd_ops) {
        *err = -EBADF;
        return NULL;
    }
    if (nonblock)
        *nonblock = file_nonblock(f);
    struct pidfd_wait *w = f->priv;
    return process_get(w->process);
}

struct process *pidfd_or_dir_process(struct task *t, int fd, int *err)
{
    struct process *p = pidfd_process(t, fd, NULL, err);
    if (p)
        return p;
    _cleanup_file_ struct file *f = fd_get(t, fd);
    return f ? procfs_process(f) : NULL;
}

long sys_pidfd_open(struct task *t, const struct sysargs *a)
{
    pid_t pid = (pid_t)a->arg[0];
    unsigned flags = (unsigned)a->arg[1];
    struct process *p;
    if ((flags & ~(unsigned)O_NONBLOCK) || pid <= 0)
        return -EINVAL;
    {
        LOCKED(&kernel.tasklist_lock);
        const struct pid_ns *ns = t->process->container->pids;
        p = process_by_pid(ns, pid);
        if (!p)
            return task_by_tid(ns, pid) ? -EINVAL : -ESRCH;
        process_get(p);
    }
    int fd = pidfd_install(t, p, flags);
    process_put(p);
    return fd;
}

bool may_look_into(struct task *t, const struct task *other)
{
    const struct process *p = other->process;
    const struct cred *a = t->cred, *b = other->cred;
    if (t->process == p || capable(t, CAP_SYS_PTRACE))
        return true;
    bool same = a->uid == b->uid && a->uid == b->euid && a->uid == b->suid && a->gid == b->gid &&
                a->gid == b->egid && a->gid == b->sgid;
    return same && p->mm && p->mm->dumpable && !(b->cap_permitted & ~a->cap_permitted);
}

/* A live thread's descriptor table, with a reference. */
static struct fdtable *table_of(struct task *t, struct process *p, int *err)
{
    struct task *x;
    later_settle();
    LOCKED(&kernel.tasklist_lock);
    *err = -ESRCH;
    DL_FOREACH2(p->threads, x, thread_next)
    {
        if (x->exited || !x->fdt)
            continue;
        if (may_look_into(t, x))
            return fdtable_get(x->fdt);
        *err = -EPERM;
    }
    return NULL;
}

long sys_pidfd_getfd(struct task *t, const struct sysargs *a)
{
    int err = 0;
    if (a->arg[2])
        return -EINVAL;
    struct process *p = pidfd_process(t, (int)a->arg[0], NULL, &err);
    if (!p)
        return err;
    /* One that came from another container of the pod is good for waiting alone. */
    bool foreign = p->container->pids != t->process->container->pids;
    struct fdtable *ft = foreign ? NULL : table_of(t, p, &err);
    if (foreign)
        err = -EPERM;
    process_put(p);
    if (!ft)
        return err;
    struct file *f = fdtable_get_file(ft, (int)a->arg[1]);
    fdtable_put(ft);
    kept_settle(); /* it is not to be kept by who does not know that it is shared */
    return f ? fd_return(t, f, true) : -EBADF;
}
