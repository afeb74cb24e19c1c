/* Writing back, hints, and copying between files. */

#include <time.h>

#include "sandbox/keep/syscall.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/fs/vfs_priv.h"
#include "sandbox/platform/listener.h"

#define SLOW_NS 200000
#define LONG_COPY (1 << 20)

static void sync_at(int root, const char *rel)
{
    int fd = sys_openat2_raw(root, rel, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, RESOLVE_NO_MAGICLINKS);

    if (fd < 0)
        return;
    (void)syncfs(fd);
    (void)close(fd);
}

/* Only the container's own file systems: guests do not order the whole host to write. */
long sys_sync(struct task *t, const struct sysargs *a)
{
    struct mount_ns *ns = t->process->container->mounts;
    int root = ns->main->root->fd;
    unsigned n;

    (void)a;
    worker_about_to_block();
    vfs_assume_self();
    sync_at(root, ".");
    struct mount **all = mount_snapshot(ns, &n);
    for (unsigned i = 0; i < n; i++) {
        if (all[i]->kind & MOUNT_REAL)
            sync_at(root, all[i]->target[1] ? all[i]->target + 1 : ".");
        mount_put(all[i]);
    }
    free(all);
    return 0;
}

long sys_syncfs(struct task *t, const struct sysargs *a)
{
    _cleanup_file_ struct file *f = fd_get(t, (int)a->arg[0]);

    if (!f)
        return -EBADF;
    if (!f->dentry || f->hostfd < 0 || f->hostfd != f->dentry->fd)
        return 0;
    worker_about_to_block();
    return syncfs(f->hostfd) == 0 ? 0 : -errno;
}

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* On a disk others' calls are not to wait for it; in memory it is over before another worker were awake. The
 * last one tells which it will be. */
int file_fsync(struct task *t, struct file *f, bool data_only)
{
    if (!f->ops->fsync)
        return -EINVAL;
    if (atomic_load(&kernel.slow_syncs))
        worker_about_to_block();
    int64_t begin = now_ns();
    int r = f->ops->fsync(t, f, data_only);
    atomic_store(&kernel.slow_syncs, now_ns() - begin > SLOW_NS);
    return r;
}

static long do_fsync(struct task *t, int fd, bool data_only)
{
    _cleanup_file_ struct file *f = fd_get(t, fd);

    if (!f)
        return -EBADF;
    return file_fsync(t, f, data_only);
}

long sys_fsync(struct task *t, const struct sysargs *a)
{
    return do_fsync(t, (int)a->arg[0], false);
}

long sys_fdatasync(struct task *t, const struct sysargs *a)
{
    return do_fsync(t, (int)a->arg[0], true);
}

long sys_sync_file_range(struct task *t, const struct sysargs *a)
{
    _cleanup_file_ struct file *f = fd_get(t, (int)a->arg[0]);

    if (!f)
        return -EBADF;
    if (!(f->kind & FILE_LANE))
        return -ESPIPE;
    int r = sync_file_range(f->hostfd, (off_t)a->arg[1], (off_t)a->arg[2], (unsigned)a->arg[3]);
    return r == 0 ? 0 : -errno;
}

long sys_fadvise64(struct task *t, const struct sysargs *a)
{
    _cleanup_file_ struct file *f = fd_get(t, (int)a->arg[0]);

    if (!f)
        return -EBADF;
    if ((int)a->arg[3] < POSIX_FADV_NORMAL || (int)a->arg[3] > POSIX_FADV_NOREUSE || (off_t)a->arg[2] < 0)
        return -EINVAL;
    if (f->kind & FILE_LANE)
        return -posix_fadvise(f->hostfd, (off_t)a->arg[1], (off_t)a->arg[2], (int)a->arg[3]);
    return f->kind & (FILE_SEEKABLE | FILE_DIR) ? 0 : -ESPIPE;
}

long sys_readahead(struct task *t, const struct sysargs *a)
{
    _cleanup_file_ struct file *f = fd_get(t, (int)a->arg[0]);

    if (!f || (atomic_load(&f->flags) & O_ACCMODE) == O_WRONLY)
        return -EBADF;
    if (!(f->kind & FILE_LANE))
        return -EINVAL;
    return readahead(f->hostfd, (off_t)a->arg[1], a->arg[2]) == 0 ? 0 : -errno;
}

/* copy_file_range
 * ----------------------------------------------------------------------------------------------- */

static int copy_check(struct file *in, struct file *out)
{
    unsigned from = atomic_load(&in->flags), to = atomic_load(&out->flags);

    if ((from & O_ACCMODE) == O_WRONLY || (to & O_ACCMODE) == O_RDONLY || (to & O_APPEND))
        return -EBADF;
    if ((in->kind | out->kind) & FILE_DIR)
        return -EISDIR;
    return (in->kind & FILE_LANE) && (out->kind & FILE_LANE) ? 0 : -EINVAL;
}

static int get_off(struct task *t, uaddr_t at, off_t *off)
{
    if (!at)
        return 0;
    if (get_user(t, off, at) < 0)
        return -EFAULT;
    return *off < 0 ? -EINVAL : 0;
}

long sys_copy_file_range(struct task *t, const struct sysargs *a)
{
    _cleanup_file_ struct file *in = fd_get(t, (int)a->arg[0]);
    _cleanup_file_ struct file *out = fd_get(t, (int)a->arg[2]);
    off_t from = 0, to = 0;

    if (!in || !out)
        return -EBADF;
    if (a->arg[5] != 0)
        return -EINVAL;
    int r = get_off(t, a->arg[1], &from);
    if (r == 0)
        r = get_off(t, a->arg[3], &to);
    if (r == 0)
        r = copy_check(in, out);
    if (r < 0)
        return r;
    if (out->ops->in_memory && lane_for_host(t, a, (int)a->arg[2], out) &&
        lane_for_host(t, a, (int)a->arg[0], in))
        return SYS_CONTINUE; /* what comes to be in memory is counted as the guest's */
    size_t len = a->arg[4] < 0x7ffff000 ? a->arg[4] : 0x7ffff000;
    struct stat st;
    if (len > LONG_COPY && fstat(in->hostfd, &st) == 0 && st.st_size > LONG_COPY)
        worker_about_to_block();
    vfs_assume(t);
    ssize_t n =
        copy_file_range(in->hostfd, a->arg[1] ? &from : NULL, out->hostfd, a->arg[3] ? &to : NULL, len, 0);
    if (n < 0)
        return -errno;
    if ((a->arg[1] && put_user(t, from, off_t, a->arg[1]) < 0) ||
        (a->arg[3] && put_user(t, to, off_t, a->arg[3]) < 0))
        return -EFAULT;
    return n;
}
