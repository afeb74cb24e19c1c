/* unshare(2), setns(2): what tasks share can part; there are no namespaces to make, nor any to go to. */
#include <errno.h>
#include <sched.h>

#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/pseudo/procfs.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/pidfd.h"
#include "sandbox/keep/task/task.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define UNSHARE_SHARED (CLONE_FS | CLONE_FILES | CLONE_SYSVSEM)
#define UNSHARE_THREAD (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)
#define UNSHARE_NS                                                                                           \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET |             \
     CLONE_NEWTIME)

static long unshare_files(struct task *t)
{
    struct fdtable *own = fdtable_dup(t->fdt);
    if (!own)
        return -ENOMEM;
    struct fdtable *old = t->fdt;
    {
        LOCKED(&kernel.tasklist_lock); /* others look, through /proc */
        t->fdt = own;
    }
    fdtable_put(old);
    return 0;
}

static long unshare_fs(struct task *t)
{
    struct fs *own = fs_dup(t->fs);
    if (!own)
        return -ENOMEM;
    struct fs *old = t->fs;
    {
        LOCKED(&kernel.tasklist_lock);
        t->fs = own;
    }
    fs_put(old);
    return 0;
}

static bool single_threaded(struct task *t)
{
    LOCKED(&kernel.tasklist_lock);
    return t->process->nthreads <= 1;
}

/* 0 or -EINVAL. */
static int check_pidfd(struct task *t, int fd, int types)
{
    bool nonblock;
    int err;
    struct process *p = pidfd_process(t, fd, &nonblock, &err);
    if (!p)
        return -EINVAL;
    process_put(p);
    return types && !(types & ~(int)(UNSHARE_NS | CLONE_NEWUSER)) ? 0 : -EINVAL;
}

long sys_setns(struct task *t, const struct sysargs *a)
{
    int fd = (int)a->arg[0], types = (int)a->arg[1];
    _cleanup_file_ struct file *f = fd_get(t, fd);
    if (!f)
        return -EBADF;
    int type = proc_ns_type(f);
    int r = type ? (types && types != type ? -EINVAL : 0) : check_pidfd(t, fd, types);
    return r < 0 ? r : -EPERM; /* as without the right to */
}

long sys_unshare(struct task *t, const struct sysargs *a)
{
    uint64_t flags = a->arg[0];
    if (flags & ~(uint64_t)(UNSHARE_SHARED | UNSHARE_THREAD | UNSHARE_NS | CLONE_NEWUSER))
        return -EINVAL;
    if ((flags & (UNSHARE_THREAD | CLONE_NEWUSER)) && !single_threaded(t))
        return -EINVAL;
    if (flags & (UNSHARE_NS | CLONE_NEWUSER)) /* as where nobody may: programs know how to do without */
        return -EPERM;
    long r = flags & CLONE_FS ? unshare_fs(t) : 0;
    if (r == 0 && (flags & CLONE_FILES)) {
        r = unshare_files(t);
        /* The lanes are in the host's table, which must part as well. */
        return r < 0 ? r : SYS_CONTINUE;
    }
    return r;
}
