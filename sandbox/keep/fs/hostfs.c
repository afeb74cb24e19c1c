/* Files of the host: regular files (lanes), directories, O_PATH handles. */
#include "sandbox/keep/fs/vfs_priv.h"

#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "sandbox/keep/device/chrdev.h"
#include "sandbox/keep/device/hostdev.h"
#include "sandbox/keep/fs/hostio.h"
#include "sandbox/keep/lanes/later.h"

#define O_LARGEFILE_BIT 0100000u /* x86-64 reports it on every file that was opened by path */
#define NOT_KEPT (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC)

static unsigned kept_flags(int flags)
{
    return ((unsigned)flags & ~(unsigned)NOT_KEPT) | O_LARGEFILE_BIT;
}

/* Regular files --------------------------------------------------------------------------------------------
 */

static ssize_t reg_read(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    (void)t;
    ssize_t n = lane_read(f, u, pos, 0);

    if (n > 0 && pos)
        *pos += n;
    return n;
}

static ssize_t reg_write(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    int r = vfs_begin_write(t, f, pos ? *pos : -1, u);
    if (r < 0)
        return r;
    ssize_t n = lane_write(f, u, pos, 0);
    if (n > 0 && pos)
        *pos += n;
    return n;
}

static off_t host_llseek(struct task *t, struct file *f, off_t off, int whence)
{
    (void)t;
    off_t r = lseek(f->hostfd, off, whence);

    return r < 0 ? -errno : r;
}

static int host_fstat(struct task *t, struct file *f, struct stat *st)
{
    (void)t;
    return fstat(f->hostfd, st) == 0 ? 0 : -errno;
}

static int size_limit(struct task *t, off_t end)
{
    rlim_t max = t->process->rlim[RLIMIT_FSIZE].rlim_cur;

    if (max == RLIM_INFINITY || end < 0 || (rlim_t)end <= max)
        return 0;
    siginfo_t info = {.si_signo = SIGXFSZ, .si_code = SI_KERNEL};
    LOCKED(&kernel.tasklist_lock);
    (void)send_signal_task(t, &info, false);
    return -EFBIG;
}

/* Makes u end after n more bytes. */
static void uio_shorten(struct uio *u, size_t n)
{
    size_t left = n;

    for (unsigned i = u->i; i < u->count; i++) {
        size_t off = i == u->i ? u->off : 0, here = u->iov[i].iov_len - off;
        if (here >= left) {
            u->iov[i].iov_len = off + left;
            u->count = i + 1;
            break;
        }
        left -= here;
    }
    u->resid = n;
}

int vfs_begin_write(struct task *t, struct file *f, off_t pos, struct uio *u)
{
    rlim_t max = t->process->rlim[RLIMIT_FSIZE].rlim_cur;
    struct stat st;

    vfs_assume(t);
    if (max == RLIM_INFINITY)
        return 0;
    if (pos < 0)
        pos = lseek(f->hostfd, 0, SEEK_CUR);
    if ((atomic_load(&f->flags) & O_APPEND) && fstat(f->hostfd, &st) == 0)
        pos = st.st_size;
    if (pos >= 0 && (rlim_t)pos >= max && u->resid > 0)
        return size_limit(t, INT64_MAX);
    if (pos >= 0 && u->resid > max - (rlim_t)pos)
        uio_shorten(u, max - (rlim_t)pos);
    return 0;
}

static int reg_truncate(struct task *t, struct file *f, off_t len)
{
    struct stat st;

    if (fstat(f->hostfd, &st) == 0 && len > st.st_size) {
        int r = size_limit(t, len);
        if (r < 0)
            return r;
    }
    vfs_assume(t);
    return ftruncate(f->hostfd, len) == 0 ? 0 : -errno;
}

static int reg_fallocate(struct task *t, struct file *f, int mode, off_t off, off_t len)
{
    off_t end;

    if (__builtin_add_overflow(off, len, &end))
        return -EFBIG;
    int r = size_limit(t, end);
    if (r < 0)
        return r;
    vfs_assume(t);
    return fallocate(f->hostfd, mode, off, len) == 0 ? 0 : -errno;
}

static int host_set_flags(struct task *t, struct file *f, unsigned flags)
{
    vfs_assume(t); /* O_NOATIME is for owners */
    int now = (int)(flags & (O_APPEND | O_DIRECT | O_NOATIME)) | O_NONBLOCK;
    return fcntl(f->hostfd, F_SETFL, now) == 0 ? 0 : -errno;
}

static void reg_release(struct file *f)
{
    file_locks_drop(f, f);
}

static const struct file_ops reg_ops = {
    .release = reg_release,
    .name = "file",
    .read = reg_read,
    .write = reg_write,
    .llseek = host_llseek,
    .stat = host_fstat,
    .fsync = hostio_fsync,
    .truncate = reg_truncate,
    .fallocate = reg_fallocate,
    .set_flags = host_set_flags,
};

static const struct file_ops dir_ops = {
    .name = "directory",
    .llseek = host_llseek,
    .stat = host_fstat,
    .fsync = hostio_fsync,
};

static const struct file_ops path_ops = {.name = "path"};

bool hostfs_is_dir(const struct file *f)
{
    return f->ops == &dir_ops;
}

/* Making files ---------------------------------------------------------------------------------------------
 */

/* A dentry over fd, which is taken over, of which stx (DENTRY_IDENTITY) is known already. */
static struct dentry *dentry_known(struct mount *m, int fd, const struct statx *stx)
{
    struct dentry *d = dentry_host(m, fd);

    if (d)
        dentry_set_identity(d, stx);
    return d;
}

/* Takes over d, whose fd is to be the file's. */
static int file_over(struct dentry *d, const struct file_ops *ops, int flags, unsigned kind,
                     struct file **ret)
{
    struct file *f = d ? file_new(ops, kept_flags(flags), kind, d->fd, NULL) : NULL;

    if (!f) {
        dentry_put(d);
        return -ENOMEM;
    }
    f->dentry = d;
    *ret = f;
    return 0;
}

int hostfs_path_file(struct dentry *d, int flags, struct file **ret)
{
    int keep = flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW);
    struct file *f = file_new(&path_ops, (unsigned)keep, FILE_NOPOLL, -1, NULL);

    if (!f)
        return -ENOMEM;
    f->dentry = dentry_get(d);
    *ret = f;
    return 0;
}

static int open_regular(struct task *t, struct mount *m, int fd, int flags, const struct statx *stx,
                        uint64_t given, struct file **ret)
{
    struct dentry *d = dentry_known(m, fd, stx);
    unsigned lane = FILE_LANE | FILE_PLAIN;

    if (d && t->process->container->mounts->magic && host_procfs(fd)) {
        int r = host_procfs_check(d, flags);
        if (r < 0) {
            dentry_put(d);
            return r;
        }
        lane = 0; /* nor is what it says for the guest's own eyes */
    }
    int r = file_over(d, &reg_ops, flags, FILE_SEEKABLE | FILE_NOPOLL | lane, ret);
    if (r == 0 && (stx->stx_mask & STATX_MODE) && !(stx->stx_mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
        (*ret)->not_exec = given + 1;
    return r;
}

int hostfs_new_file(struct mount *m, int fd, int flags, uint64_t not_exec, struct file **ret)
{
    int r = file_over(dentry_host(m, fd), &reg_ops, flags,
                      FILE_SEEKABLE | FILE_NOPOLL | FILE_LANE | FILE_PLAIN, ret);

    if (r == 0)
        (*ret)->not_exec = not_exec;
    return r;
}

static int open_dir(struct task *t, struct mount *m, int fd, int flags, const struct statx *stx,
                    struct file **ret)
{
    struct mount_ns *ns = t->process->container->mounts;
    struct dentry *d = dentry_known(m, fd, stx);

    if (!d)
        return -ENOMEM;
    int r = mount_maybe(ns, d->dev, d->ino) ? mount_cross(t, ns, &d) : 0;
    if (r < 0) {
        dentry_put(d);
        return r;
    }
    if (d->fd == fd)
        return file_over(d, &dir_ops, flags, FILE_SEEKABLE | FILE_NOPOLL | FILE_DIR, ret);
    /* A mount point: what is mounted there is meant. */
    r = dentry_open(t, d, flags, ret);
    dentry_put(d);
    return r;
}

/* fd, which is taken over, is the file that stands for a device which a guest made (the host opens no
 * others). Its permissions allowed the open. */
static int made_device(struct task *t, struct mount *m, int fd, const struct statx *stx, int flags,
                       struct file **ret)
{
    struct dentry *d = dentry_known(m, fd, stx);

    if (!d)
        return -ENOMEM;
    int r = chrdev_open(t, d->rdev, flags, ret);
    if (r == 0 && !(*ret)->dentry)
        (*ret)->dentry = d;
    else
        dentry_put(d);
    return r;
}

int hostfs_file(struct task *t, struct mount *m, int fd, int flags, struct file **ret)
{
    uint64_t given = atomic_load(&kernel.exec_given);
    struct statx stx;

    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, DENTRY_IDENTITY | STATX_MODE, &stx) != 0) {
        int r = -errno;
        (void)close(fd);
        return r;
    }
    device_patch(&stx);
    switch (stx.stx_mode & S_IFMT) {
    case S_IFREG:
        return open_regular(t, m, fd, flags, &stx, given, ret);
    case S_IFDIR:
        return open_dir(t, m, fd, flags, &stx, ret);
    case S_IFIFO:
        return fifo_file(t, m, fd, flags, ret);
    case S_IFCHR:
        return made_device(t, m, fd, &stx, flags, ret);
    default:
        (void)close(fd);
        return -ENXIO;
    }
}

static int reopen_fd(struct task *t, struct dentry *d, int flags)
{
    int hf = (flags & (int)HOST_OPEN_FLAGS & ~(O_CREAT | O_EXCL | O_NOFOLLOW)) | HOST_OPEN_ALWAYS;
    char name[40];
    int fd;

    vfs_assume(t);
    if (dentry_type(d) == S_IFDIR) {
        fd = openat(d->fd, ".", hf, 0);
    } else {
        dentry_procname(d, name);
        fd = openat(kernel.procfd, name, hf, 0);
    }
    return fd < 0 ? -errno : fd;
}

static int open_device(struct task *t, struct dentry *d, int flags, struct file **ret)
{
    static const int masks[] = {R_OK, W_OK, R_OK | W_OK, R_OK | W_OK};
    int r = dentry_access(t, d, masks[flags & O_ACCMODE], false);

    if (r < 0)
        return r;
    return dentry_type(d) == S_IFCHR ? chrdev_open(t, d->rdev, flags, ret)
                                     : hostdev_open(t, 'b', d->rdev, flags, ret);
}

int hostfs_reopen(struct task *t, struct dentry *d, int flags, struct file **ret)
{
    mode_t type = dentry_type(d);
    bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
    int r;

    if (type == S_IFLNK)
        return -ELOOP;
    if ((flags & O_DIRECTORY) && type != S_IFDIR)
        return -ENOTDIR;
    if (type == S_IFSOCK)
        return -ENXIO;
    if (type == S_IFCHR || type == S_IFBLK) {
        r = open_device(t, d, flags, ret);
    } else if (type == S_IFIFO) {
        return fifo_open(t, d, flags, ret);
    } else {
        if (writes && mount_readonly(d))
            return -EROFS;
        int fd = reopen_fd(t, d, flags);
        return fd < 0 ? fd : hostfs_file(t, d->mnt, fd, flags, ret);
    }
    if (r == 0 && !(*ret)->dentry)
        (*ret)->dentry = dentry_get(d);
    return r;
}

int pseudo_open(struct task *t, struct dentry *d, int flags, struct file **ret)
{
    static const int masks[] = {R_OK, W_OK, R_OK | W_OK, R_OK | W_OK};
    struct pnode *n = d->node;
    int mask = masks[flags & O_ACCMODE] | (flags & O_TRUNC ? W_OK : 0);
    int r;

    if (S_ISLNK(n->mode))
        return -ELOOP;
    if ((flags & O_DIRECTORY) && !S_ISDIR(n->mode))
        return -ENOTDIR;
    if (S_ISDIR(n->mode) && (mask & W_OK))
        return -EISDIR;
    if ((mask & W_OK) && mount_readonly(d) && S_ISREG(n->mode))
        return -EROFS;
    r = pseudo_access(t, n, mask, false);
    if (r < 0)
        return r;
    int keep = (int)kept_flags(flags);
    if (S_ISCHR(n->mode) && !n->ops->open)
        r = chrdev_open(t, n->rdev, keep, ret);
    else
        r = pnode_open(t, n, keep, ret);
    if (r == 0 && !(*ret)->dentry)
        (*ret)->dentry = dentry_get(d);
    return r;
}

/* Looks for an open file of the container that may write to the object. */
struct writer_search {
    struct dentry *d;
    bool found;
};

static void look_for_writer(int fd, struct file *f, bool cloexec, void *arg)
{
    struct writer_search *s = arg;
    unsigned acc = atomic_load(&f->flags) & (O_ACCMODE | O_PATH);

    (void)fd;
    (void)cloexec;
    if (s->found || f->ops != &reg_ops || (acc != O_WRONLY && acc != O_RDWR) ||
        dentry_identity(f->dentry) < 0)
        return;
    s->found = f->dentry->ino == s->d->ino && f->dentry->dev == s->d->dev;
}

/* What is being written is not executed. The host can not say so: what it executes is the gate. */
static bool is_written(struct task *t, struct dentry *d)
{
    struct writer_search s = {.d = d};
    struct process *p, *tmp;
    struct task *th;

    LOCKED(&kernel.tasklist_lock);
    HASH_ITER(hh_pid, t->process->container->pids->processes, p, tmp)
    DL_FOREACH2(p->threads, th, thread_next)
    if (!s.found && th->fdt && (th == p->threads || th->fdt != p->threads->fdt))
        fd_for_each(th->fdt, look_for_writer, &s);
    return s.found;
}

static int open_nameless(struct task *t, struct file *f, struct file **ret)
{
    struct stat st;

    if (f->hostfd < 0 || fstat(f->hostfd, &st) != 0 || !S_ISREG(st.st_mode))
        return -EACCES;
    return file_reopen(t, f, O_RDONLY, ret); /* a memfd */
}

int dentry_open_exec(struct task *t, struct dentry *d, struct file **ret)
{
    char name[40];

    if (d->file)
        return open_nameless(t, d->file, ret);
    if (d->fd < 0 || dentry_type(d) != S_IFREG)
        return -EACCES;
    if (is_written(t, d)) {
        later_settle(); /* by one that has closed it, perhaps */
        if (is_written(t, d))
            return -ETXTBSY;
    }
    dentry_procname(d, name);
    int fd = openat(kernel.procfd, name, O_RDONLY | HOST_OPEN_ALWAYS);
    if (fd < 0) { /* whoever may execute it need not be allowed to read it */
        vfs_assume_self();
        fd = openat(kernel.procfd, name, O_RDONLY | HOST_OPEN_ALWAYS);
    }
    return fd < 0 ? -errno : hostfs_file(t, d->mnt, fd, O_RDONLY, ret);
}
