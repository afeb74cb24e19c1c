/* The calls on descriptors: close, dup, fcntl. */
#include <limits.h>
#include <linux/close_range.h>

#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/fs/locks.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"

void file_closed(struct fdtable *ft, struct file *f)
{
    file_locks_closed(ft, f);
    file_put(f);
}

long sys_close(struct task *t, const struct sysargs *a)
{
    bool native = false;
    int r = fd_close(t, a, (int)a->arg[0], &native);
    return native ? SYS_CONTINUE : r;
}

/* A fork while others used the table (abi.h, GATE_ATTACH): only the host's own descriptors are meant. */
static long clear_native(struct task *t, const struct sysargs *a)
{
    bool all = a->arg[0] == 0 && a->arg[1] == UINT_MAX && a->arg[2] == 0;
    return all && fdtable_clear_native(t->fdt) ? SYS_CONTINUE : -EPERM;
}

long sys_close_range(struct task *t, const struct sysargs *a)
{
    if (from_gate(a))
        return clear_native(t, a);
    unsigned first = (unsigned)a->arg[0], last = (unsigned)a->arg[1], flags = (unsigned)a->arg[2];
    if ((flags & ~(unsigned)(CLOSE_RANGE_CLOEXEC | CLOSE_RANGE_UNSHARE)) || first > last)
        return -EINVAL;
    bool unshared = false;
    if ((flags & CLOSE_RANGE_UNSHARE) && fdtable_shared(t->fdt)) {
        struct fdtable *old = t->fdt, *n = fdtable_dup(old);
        if (!n)
            return -ENOMEM;
        {
            LOCKED(&kernel.tasklist_lock);
            t->fdt = n;
        }
        fdtable_put(old);
        unshared = true; /* the host's table has to part as well */
    }
    bool native = fd_close_range(t, a, first, last, flags & CLOSE_RANGE_CLOEXEC);
    return native || unshared ? SYS_CONTINUE : 0;
}

long sys_dup(struct task *t, const struct sysargs *a)
{
    struct file *f = fd_get_path(t, (int)a->arg[0]);
    return f ? fd_return(t, f, false) : -EBADF;
}

static long dup_at(struct task *t, const struct sysargs *a, bool cloexec)
{
    struct file *f = fd_get_path(t, (int)a->arg[0]);
    if (!f)
        return -EBADF;
    int r = fd_install_at(t, f, cloexec, (int)a->arg[1], a);
    if (r < 0)
        file_put(f);
    return r;
}

long sys_dup2(struct task *t, const struct sysargs *a)
{
    if ((int)a->arg[0] != (int)a->arg[1])
        return dup_at(t, a, false);
    _cleanup_file_ struct file *f = fd_get_path(t, (int)a->arg[0]);
    return f ? (int)a->arg[0] : -EBADF;
}

long sys_dup3(struct task *t, const struct sysargs *a)
{
    if ((a->arg[2] & ~(uint64_t)O_CLOEXEC) || (int)a->arg[0] == (int)a->arg[1])
        return -EINVAL;
    return dup_at(t, a, a->arg[2] & O_CLOEXEC);
}

static long fcntl_dup(struct task *t, struct file *f, uint64_t min, bool cloexec)
{
    if ((int)min < 0 || (unsigned)min >= fd_limit(t))
        return -EINVAL;
    file_get(f);
    int r = fd_install(t, f, cloexec, (int)min);
    if (r < 0)
        file_put(f);
    return r;
}

#define SETFL_MASK ((unsigned)(O_APPEND | O_NONBLOCK | O_ASYNC | O_DIRECT | O_NOATIME))

static long fcntl_setfl(struct task *t, struct file *f, unsigned arg)
{
    unsigned old = atomic_load(&f->flags);
    unsigned now = (old & ~SETFL_MASK) | (arg & SETFL_MASK);
    if (f->ops->set_flags) {
        int r = f->ops->set_flags(t, f, now);
        if (r < 0)
            return r;
    } else if (((now ^ old) & O_DIRECT) && !(f->kind & FILE_LANE)) {
        return -EINVAL;
    }
    atomic_store(&f->flags, now);
    return 0;
}

static long fcntl_owner(struct task *t, struct file *f, unsigned cmd, uint64_t arg)
{
    struct f_owner_ex ex;
    switch (cmd) {
    case F_GETOWN:
        return f->owner;
    case F_SETOWN:
        f->owner = (pid_t)arg;
        return 0;
    case F_GETSIG:
        return f->owner_sig;
    case F_SETSIG:
        if (arg > 64)
            return -EINVAL;
        f->owner_sig = (int)arg;
        return 0;
    case F_GETOWN_EX:
        ex.type = f->owner < 0 ? F_OWNER_PGRP : F_OWNER_PID;
        ex.pid = f->owner < 0 ? -f->owner : f->owner;
        return copy_to_user(t, arg, &ex, sizeof(ex));
    default: /* F_SETOWN_EX */
        if (get_user(t, &ex, arg) < 0)
            return -EFAULT;
        if (ex.type > F_OWNER_PGRP || ex.type < F_OWNER_TID || ex.pid == INT_MIN)
            return -EINVAL;
        f->owner = ex.type == F_OWNER_PGRP ? -ex.pid : ex.pid;
        return 0;
    }
}

/* What the host does on the descriptor itself, once its kind is right. */
static long fcntl_host(struct file *f, unsigned cmd, uint64_t arg)
{
    if (f->hostfd < 0)
        return cmd == F_GETPIPE_SZ || cmd == F_SETPIPE_SZ ? -EBADF : -EINVAL;
    int r = fcntl(f->hostfd, (int)cmd, (unsigned)arg);
    return r < 0 ? -errno : r;
}

static long fcntl_hint(struct task *t, struct file *f, unsigned cmd, uint64_t arg)
{
    uint64_t hint = 0;
    if (!(f->kind & FILE_LANE))
        return -EINVAL;
    if (cmd == F_SET_RW_HINT && get_user(t, &hint, arg) < 0)
        return -EFAULT;
    if (fcntl(f->hostfd, (int)cmd, &hint) < 0)
        return -errno;
    return cmd == F_GET_RW_HINT ? put_user(t, hint, uint64_t, arg) : 0;
}

static long fcntl_file(struct task *t, struct file *f, unsigned cmd, uint64_t arg)
{
    switch (cmd) {
    case F_SETFL:
        return fcntl_setfl(t, f, (unsigned)arg);
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return file_lock_fcntl(t, f, (int)cmd, arg);
    case F_GETOWN:
    case F_SETOWN:
    case F_GETSIG:
    case F_SETSIG:
    case F_GETOWN_EX:
    case F_SETOWN_EX:
        return fcntl_owner(t, f, cmd, arg);
    case F_GETPIPE_SZ:
    case F_SETPIPE_SZ:
    case F_ADD_SEALS:
    case F_GET_SEALS:
        return fcntl_host(f, cmd, arg);
    case F_GET_RW_HINT:
    case F_SET_RW_HINT:
        return fcntl_hint(t, f, cmd, arg);
    case F_GETLEASE:
        return F_UNLCK;
    default:
        return -EINVAL;
    }
}

long sys_fcntl(struct task *t, const struct sysargs *a)
{
    int fd = (int)a->arg[0];
    unsigned cmd = (unsigned)a->arg[1];
    uint64_t arg = a->arg[2];
    _cleanup_file_ struct file *f = fd_get_path(t, fd);
    if (!f)
        return -EBADF;
    switch (cmd) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        return fcntl_dup(t, f, arg, cmd == F_DUPFD_CLOEXEC);
    case F_GETFD:
        return fd_cloexec(t, fd, -1);
    case F_SETFD: {
        int r = fd_cloexec(t, fd, (arg & FD_CLOEXEC) != 0);
        return r < 0 ? r : 0;
    }
    case F_GETFL: {
        unsigned flags = atomic_load(&f->flags);
        /* 64-bit Linux forces O_LARGEFILE on whatever was opened by path. */
        return (long)flags;
    }
    default:
        if (atomic_load(&f->flags) & O_PATH)
            return -EBADF;
        return fcntl_file(t, f, cmd, arg);
    }
}
