/* unshare(2): what tasks share can part; there are no namespaces to make. */
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>

#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/syscall.h"
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

long sys_unshare(struct task *t, const struct sysargs *a)
{
    uint64_t flags = a->arg[0];
    if (flags & ~(uint64_t)(UNSHARE_SHARED | UNSHARE_THREAD | UNSHARE_NS | CLONE_NEWUSER))
        return -EINVAL;
    if ((flags & UNSHARE_NS) && !capable(t, CAP_SYS_ADMIN))
        return -EPERM;
    if (flags & (UNSHARE_NS | CLONE_NEWUSER)) /* as a kernel built without them says */
        return -EINVAL;
    if ((flags & UNSHARE_THREAD) && !single_threaded(t))
        return -EINVAL;
    long r = flags & CLONE_FS ? unshare_fs(t) : 0;
    if (r == 0 && (flags & CLONE_FILES)) {
        r = unshare_files(t);
        /* The lanes are in the host's table, which must part as well. */
        return r < 0 ? r : SYS_CONTINUE;
    }
    return r;
}
