/* inotify(7): a host inotify in the keep, whose watches are set through the keep's own descriptors. */
#include <sys/inotify.h>

#include "sandbox/keep/fs/hostio.h"
#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/fs/vfs.h"

static void inotify_release(struct file *f)
{
    (void)f;
    atomic_fetch_sub(&kernel.inotifies, 1);
}

static const struct file_ops inotify_ops = {
    .name = "anon_inode:inotify",
    .read = hostio_read,
    .ioctl = hostio_ioctl,
    .stat = hostio_stat,
    .release = inotify_release,
};

static long do_init(struct task *t, int flags)
{
    if (flags & ~(IN_CLOEXEC | IN_NONBLOCK))
        return -EINVAL;
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0)
        return -errno;
    atomic_fetch_add(&kernel.inotifies, 1);
    later_settle(); /* closes that come late would be seen */
    int r = hostio_install(t, &inotify_ops, (unsigned)flags | O_RDONLY, 0, fd, NULL);
    if (r < 0)
        atomic_fetch_sub(&kernel.inotifies, 1);
    return r;
}

long sys_inotify_init(struct task *t, const struct sysargs *a)
{
    (void)a;
    return do_init(t, 0);
}

long sys_inotify_init1(struct task *t, const struct sysargs *a)
{
    return do_init(t, (int)a->arg[0]);
}

static struct file *inotify_get(struct task *t, int fd, int *err)
{
    struct file *f = fd_get(t, fd);
    if (f && f->ops == &inotify_ops)
        return f;
    *err = f ? -EINVAL : -EBADF;
    if (f)
        file_put(f);
    return NULL;
}

/* The host's call has no directory argument: the keep's working directory, which nothing else uses, is its
 * /proc (files_init). Nodes of the keep's own never change by themselves; they share a watch that stays
 * silent. */
static long watch(struct file *f, struct dentry *d, uint32_t mask)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "%d/fd/%d", (int)kernel.pid, d->fd >= 0 ? d->fd : kernel.dead_fd);
    int wd = inotify_add_watch(f->hostfd, path, mask & ~(uint32_t)(IN_DONT_FOLLOW | IN_ONLYDIR));
    return wd < 0 ? -errno : wd;
}

long sys_inotify_add_watch(struct task *t, const struct sysargs *a)
{
    char path[4096];
    uint32_t mask = (uint32_t)a->arg[2];
    int err = 0;
    if (!(mask & (IN_ALL_EVENTS | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED)) ||
        ((mask & IN_MASK_ADD) && (mask & IN_MASK_CREATE)))
        return -EINVAL;
    _cleanup_file_ struct file *f = inotify_get(t, (int)a->arg[0], &err);
    if (!f)
        return err;
    long n = path_from_user(t, path, a->arg[1]);
    if (n < 0)
        return n;
    _cleanup_dentry_ struct dentry *d = NULL;
    unsigned flags = (mask & IN_DONT_FOLLOW ? 0 : LOOKUP_FOLLOW) | (mask & IN_ONLYDIR ? LOOKUP_DIRECTORY : 0);
    int r = path_lookup(t, AT_FDCWD, path, flags, &d);
    if (r == 0)
        r = dentry_access(t, d, R_OK, false);
    if (r < 0)
        return r;
    vfs_assume(t);
    return watch(f, d, mask);
}

long sys_inotify_rm_watch(struct task *t, const struct sysargs *a)
{
    int err = 0;
    _cleanup_file_ struct file *f = inotify_get(t, (int)a->arg[0], &err);
    if (!f)
        return err;
    return inotify_rm_watch(f->hostfd, (int)a->arg[1]) < 0 ? -errno : 0;
}
