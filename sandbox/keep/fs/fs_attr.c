/* Changing attributes: mode, owner, times, size. */
#include <linux/capability.h>
#include <linux/magic.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <utime.h>

#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/fs/vfs_priv.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

enum change_kind { CHANGE_MODE, CHANGE_OWNER, CHANGE_TIMES };

struct change {
    enum change_kind kind;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    bool now; /* both times: now, which needs less permission */
    struct timespec times[2];
};

/* On the keep's own nodes
 * ------------------------------------------------------------------------------------ */

static bool in_groups(const struct cred *c, gid_t gid)
{
    if (c->fsgid == gid)
        return true;
    for (unsigned i = 0; i < c->ngroups; i++)
        if (c->groups[i] == gid)
            return true;
    return false;
}

static int may_change(struct task *t, struct pnode *n, const struct change *c)
{
    bool owner = t->cred->fsuid == n->uid;

    switch (c->kind) {
    case CHANGE_MODE:
        return owner || capable(t, CAP_FOWNER) ? 0 : -EPERM;
    case CHANGE_OWNER:
        if (capable(t, CAP_CHOWN))
            return 0;
        if (c->uid != (uid_t)-1 && (!owner || c->uid != n->uid))
            return -EPERM;
        return c->gid == (gid_t)-1 || (owner && in_groups(t->cred, c->gid)) ? 0 : -EPERM;
    default:
        if (owner || capable(t, CAP_FOWNER))
            return 0;
        return c->now ? pseudo_access(t, n, W_OK, false) : -EPERM;
    }
}

static int change_pseudo(struct task *t, struct dentry *d, const struct change *c)
{
    struct pnode *n = d->node;
    struct stat st = {.st_mode = c->mode, .st_uid = c->uid, .st_gid = c->gid};
    unsigned mask = c->kind == CHANGE_MODE ? STATX_MODE : 0;

    int r = may_change(t, n, c);
    if (r < 0)
        return r;
    if (c->kind == CHANGE_OWNER)
        mask = (c->uid != (uid_t)-1 ? STATX_UID : 0) | (c->gid != (gid_t)-1 ? STATX_GID : 0);
    if (c->kind == CHANGE_TIMES) {
        mask = STATX_ATIME | STATX_MTIME;
        st.st_atim = c->times[0];
        st.st_mtim = c->times[1];
    }
    if (mask == 0)
        return 0;
    return n->ops->setattr ? n->ops->setattr(t, n, &st, mask) : -EPERM;
}

/* On host objects
 * --------------------------------------------------------------------------------------------- */

static const struct timespec *times_of(const struct change *c)
{
    return c->now ? NULL : c->times;
}

/* path "" means fd itself. 0 or -errno. */
static int change_at(int fd, const char *path, int flags, const struct change *c)
{
    int r = 0;

    if (!*path)
        flags |= AT_EMPTY_PATH;
    if (c->kind == CHANGE_OWNER)
        r = fchownat(fd, path, c->uid, c->gid, flags);
    else if (c->kind == CHANGE_TIMES)
        r = (int)syscall(SYS_utimensat, fd, path, times_of(c), flags);
    else if (flags == 0)
        r = (int)syscall(SYS_fchmodat, fd, path, c->mode);
    else
        r = (int)syscall(SYS_fchmodat2, fd, path, c->mode, flags);
    return r == 0 ? 0 : -errno;
}

static int change_dentry(struct task *t, struct dentry *d, const struct change *c)
{
    char name[40];

    if (mount_readonly(d))
        return -EROFS;
    if (d->node)
        return change_pseudo(t, d, c);
    if (d->file)
        return -EPERM;
    vfs_assume(t);
    int r = change_at(d->fd, "", 0, c);
    if (r != -ENOSYS && !(r == -EBADF && c->kind == CHANGE_MODE))
        return r;
    /* Before 6.6: chmod of an O_PATH descriptor only by its name. Not for links, which have no mode. */
    if (dentry_type(d) == S_IFLNK)
        return -EOPNOTSUPP;
    dentry_procname(d, name);
    return change_at(kernel.procfd, name, 0, c);
}

static int change_path(struct task *t, int dfd, const char *path, int flags, const struct change *c)
{
    unsigned wf = (flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0);
    _cleanup_dentry_ struct dentry *d = NULL;
    _cleanup_walk_ struct walk w;
    int r = walk_begin(&w, t, dfd, path, wf);

    if (r < 0)
        return r;
    vfs_assume(t);
    if (w.plain && !w.self) {
        r = change_at(w.base->fd, w.rel, flags & AT_SYMLINK_NOFOLLOW, c);
        if (r == 0)
            return 0;
        r = r == -ENOSYS ? WALK_SLOW : walk_failed(&w, -r);
        if (r != WALK_SLOW)
            return r;
        w.host = false;
    }
    r = walk_lookup(&w, wf, &d);
    return r < 0 ? r : change_dentry(t, d, c);
}

/* Pipes, sockets, memfds: what no path of the host leads to. */
static bool is_nameless(int fd)
{
    struct statfs fs;
    struct stat st;

    if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
        return false;
    return fs.f_type == PIPEFS_MAGIC || fs.f_type == SOCKFS_MAGIC || fs.f_type == ANON_INODE_FS_MAGIC ||
           st.st_nlink == 0;
}

static int change_fd(struct task *t, struct file *f, const struct change *c)
{
    if (f->dentry)
        return change_dentry(t, f->dentry, c);
    if (f->hostfd < 0)
        return c->kind == CHANGE_MODE ? 0 : -EPERM;
    /* A file, device or terminal that the runtime's caller handed in as stdio is the host's: the guest may
     * use it, but whose it is and who may open it is not the guest's to say. */
    if (!is_nameless(f->hostfd))
        return -EPERM;
    vfs_assume(t);
    if (c->kind == CHANGE_MODE)
        return fchmod(f->hostfd, c->mode) == 0 ? 0 : -errno;
    return change_at(f->hostfd, "", 0, c);
}

static long changed(const struct change *c, long r)
{
    if (r == 0 && c->kind == CHANGE_MODE && (c->mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
        later_executable();
    return r;
}

static long change_upath(struct task *t, int dfd, uaddr_t upath, int flags, const struct change *c)
{
    char path[PATH_MAX];
    long r = path_from_user(t, path, upath);

    return r < 0 ? r : changed(c, change_path(t, dfd, path, flags, c));
}

static long change_ufd(struct task *t, int fd, const struct change *c)
{
    _cleanup_file_ struct file *f = fd_get(t, fd);

    return f ? changed(c, change_fd(t, f, c)) : -EBADF;
}

/* chmod, chown
 * ------------------------------------------------------------------------------------------------ */

static struct change new_mode(uint64_t mode)
{
    return (struct change){.kind = CHANGE_MODE, .mode = (mode_t)mode & 07777};
}

static struct change new_owner(uint64_t uid, uint64_t gid)
{
    return (struct change){.kind = CHANGE_OWNER, .uid = (uid_t)uid, .gid = (gid_t)gid};
}

long sys_chmod(struct task *t, const struct sysargs *a)
{
    struct change c = new_mode(a->arg[1]);
    return change_upath(t, AT_FDCWD, a->arg[0], 0, &c);
}

long sys_fchmod(struct task *t, const struct sysargs *a)
{
    struct change c = new_mode(a->arg[1]);
    return change_ufd(t, (int)a->arg[0], &c);
}

long sys_fchmodat(struct task *t, const struct sysargs *a)
{
    struct change c = new_mode(a->arg[2]);
    return change_upath(t, (int)a->arg[0], a->arg[1], 0, &c);
}

long sys_fchmodat2(struct task *t, const struct sysargs *a)
{
    struct change c = new_mode(a->arg[2]);
    int flags = (int)a->arg[3];

    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    return change_upath(t, (int)a->arg[0], a->arg[1], flags, &c);
}

long sys_chown(struct task *t, const struct sysargs *a)
{
    struct change c = new_owner(a->arg[1], a->arg[2]);
    return change_upath(t, AT_FDCWD, a->arg[0], 0, &c);
}

long sys_lchown(struct task *t, const struct sysargs *a)
{
    struct change c = new_owner(a->arg[1], a->arg[2]);
    return change_upath(t, AT_FDCWD, a->arg[0], AT_SYMLINK_NOFOLLOW, &c);
}

long sys_fchown(struct task *t, const struct sysargs *a)
{
    struct change c = new_owner(a->arg[1], a->arg[2]);
    return change_ufd(t, (int)a->arg[0], &c);
}

long sys_fchownat(struct task *t, const struct sysargs *a)
{
    struct change c = new_owner(a->arg[2], a->arg[3]);
    int flags = (int)a->arg[4];

    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    return change_upath(t, (int)a->arg[0], a->arg[1], flags, &c);
}

/* utime and its many forms
 * -------------------------------------------------------------------------------------- */

static bool valid_nsec(long n)
{
    return n == UTIME_NOW || n == UTIME_OMIT || (n >= 0 && n < 1000000000L);
}

long sys_utimensat(struct task *t, const struct sysargs *a)
{
    struct change c = {.kind = CHANGE_TIMES, .now = a->arg[2] == 0};
    int flags = (int)a->arg[3];

    if (a->arg[2] && copy_from_user(t, c.times, a->arg[2], sizeof(c.times)) < 0)
        return -EFAULT;
    if (a->arg[2] && c.times[0].tv_nsec == UTIME_OMIT && c.times[1].tv_nsec == UTIME_OMIT)
        return 0;
    if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) || !valid_nsec(c.times[0].tv_nsec) ||
        !valid_nsec(c.times[1].tv_nsec))
        return -EINVAL;
    if (a->arg[1] != 0)
        return change_upath(t, (int)a->arg[0], a->arg[1], flags, &c);
    if (flags)
        return -EINVAL;
    return (int)a->arg[0] == AT_FDCWD ? -EFAULT : change_ufd(t, (int)a->arg[0], &c);
}

long sys_utime(struct task *t, const struct sysargs *a)
{
    struct change c = {.kind = CHANGE_TIMES, .now = a->arg[1] == 0};
    struct utimbuf ub;

    if (a->arg[1]) {
        if (get_user(t, &ub, a->arg[1]) < 0)
            return -EFAULT;
        c.times[0].tv_sec = ub.actime;
        c.times[1].tv_sec = ub.modtime;
    }
    return change_upath(t, AT_FDCWD, a->arg[0], 0, &c);
}

static long times_from_timeval(struct task *t, struct change *c, uaddr_t utv)
{
    struct timeval tv[2];

    *c = (struct change){.kind = CHANGE_TIMES, .now = utv == 0};
    if (!utv)
        return 0;
    if (copy_from_user(t, tv, utv, sizeof(tv)) < 0)
        return -EFAULT;
    for (int i = 0; i < 2; i++) {
        if (tv[i].tv_usec < 0 || tv[i].tv_usec >= 1000000)
            return -EINVAL;
        c->times[i] = (struct timespec){tv[i].tv_sec, tv[i].tv_usec * 1000};
    }
    return 0;
}

long sys_utimes(struct task *t, const struct sysargs *a)
{
    struct change c;
    long r = times_from_timeval(t, &c, a->arg[1]);

    return r < 0 ? r : change_upath(t, AT_FDCWD, a->arg[0], 0, &c);
}

long sys_futimesat(struct task *t, const struct sysargs *a)
{
    struct change c;
    long r = times_from_timeval(t, &c, a->arg[2]);

    if (r < 0)
        return r;
    return a->arg[1] ? change_upath(t, (int)a->arg[0], a->arg[1], 0, &c) : change_ufd(t, (int)a->arg[0], &c);
}

/* truncate, fallocate
 * --------------------------------------------------------------------------------------------- */

/* The files of /proc and the like take any length, and stay what they are. */
static long set_length(struct task *t, struct file *f, off_t len)
{
    struct stat st;

    if (f->ops->truncate)
        return f->ops->truncate(t, f, len);
    return f->dentry && dentry_stat(t, f->dentry, &st) == 0 && S_ISREG(st.st_mode) ? 0 : -EINVAL;
}

long sys_truncate(struct task *t, const struct sysargs *a)
{
    char path[PATH_MAX];
    _cleanup_file_ struct file *f = NULL;
    off_t len = (off_t)a->arg[1];

    if (len < 0)
        return -EINVAL;
    long r = path_from_user(t, path, a->arg[0]);
    if (r >= 0)
        r = vfs_open(t, AT_FDCWD, path, O_WRONLY | O_NONBLOCK, 0, &f);
    if (r == -ENXIO)
        return -EINVAL; /* a FIFO or a socket */
    if (r < 0)
        return r;
    return set_length(t, f, len);
}

long sys_ftruncate(struct task *t, const struct sysargs *a)
{
    off_t len = (off_t)a->arg[1];
    _cleanup_file_ struct file *f = len < 0 ? NULL : fd_get(t, (int)a->arg[0]);

    if (len < 0)
        return -EINVAL;
    if (!f)
        return -EBADF;
    if ((atomic_load(&f->flags) & O_ACCMODE) == O_RDONLY)
        return -EINVAL;
    return set_length(t, f, len);
}

long sys_fallocate(struct task *t, const struct sysargs *a)
{
    off_t off = (off_t)a->arg[2], len = (off_t)a->arg[3];
    _cleanup_file_ struct file *f = fd_get(t, (int)a->arg[0]);

    if (!f)
        return -EBADF;
    if (off < 0 || len <= 0)
        return -EINVAL;
    if ((atomic_load(&f->flags) & O_ACCMODE) == O_RDONLY)
        return -EBADF;
    if (f->ops->in_memory) {
        int r = lane_donate(t, a, (int)a->arg[0], f);
        return r < 0 ? r : SYS_CONTINUE;
    }
    if (f->ops->fallocate)
        return f->ops->fallocate(t, f, (int)a->arg[1], off, len);
    return f->kind & FILE_SEEKABLE ? -EOPNOTSUPP : f->kind & FILE_DIR ? -EISDIR : -ESPIPE;
}
