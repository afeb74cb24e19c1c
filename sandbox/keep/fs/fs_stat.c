/* stat(2), statx(2), statfs(2), access(2) and their kin. */
#include <sys/vfs.h>

#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/fs/vfs_priv.h"

#define STATX_NEEDED (STATX_TYPE | STATX_INO | STATX_MNT_ID | STATX_BTIME)

/* A directory that is the place of a mount of ours: what is mounted there is meant. 0 where it is not. */
static int stat_mounted(struct walk *w, unsigned mask, struct statx *stx, struct dentry **at)
{
    struct dentry *d =
        S_ISDIR(stx->stx_mode) || atomic_load(&w->ns->covering) ? mount_root_at(w->ns, stx) : NULL;

    if (!d)
        return 0;
    int r = dentry_statx(w->t, d, mask, stx);
    *at = d;
    return r;
}

/* *at: where the object's mount is known better than by the host (a reference), else NULL. */
static int walk_statx(struct walk *w, unsigned flags, int sync, unsigned mask, struct statx *stx,
                      struct dentry **at)
{
    int hf = (flags & WALK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW) | AT_NO_AUTOMOUNT | sync;

    *at = NULL;
    vfs_assume(w->t);
    if (w->plain && !w->self) {
        if (statx(w->base->fd, w->rel, hf, mask | STATX_NEEDED, stx) == 0) {
            device_patch(stx);
            return stat_mounted(w, mask, stx, at);
        }
        int r = walk_failed(w, errno);
        if (r != WALK_SLOW)
            return r;
        w->host = false; /* not a second time */
    }
    int r = walk_lookup(w, flags, at);
    return r < 0 ? r : dentry_statx(w->t, *at, mask, stx);
}

/* Who asks for no more than STATX_BASIC_STATS is not told of a mount. */
static int stat_path(struct task *t, int dfd, const char *path, int at_flags, unsigned mask,
                     struct statx *stx, bool mount_id)
{
    unsigned wf =
        (at_flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (at_flags & AT_EMPTY_PATH ? WALK_EMPTY : 0);
    _cleanup_dentry_ struct dentry *at = NULL;
    _cleanup_walk_ struct walk w;
    int r = walk_begin(&w, t, dfd, path, wf);

    if (r == 0)
        r = walk_statx(&w, wf, at_flags & (AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC), mask, stx, &at);
    if (r == 0 && mount_id) {
        stx->stx_mnt_id = (uint64_t)mount_visible_id(w.ns, at, stx->stx_mnt_id);
        stx->stx_mask |= STATX_MNT_ID;
    }
    return r;
}

/* fstat: of any file, with a path or without. */
static int stat_file(struct task *t, struct file *f, struct stat *st)
{
    if (f->ops->stat)
        return f->ops->stat(t, f, st);
    if (f->dentry)
        return dentry_stat(t, f->dentry, st);
    if (f->hostfd >= 0)
        return fstat(f->hostfd, st) == 0 ? 0 : -errno;
    /* An anonymous inode without a descriptor of the host's behind it. */
    memset(st, 0, sizeof(*st));
    st->st_mode = 0600;
    st->st_nlink = 1;
    st->st_blksize = 4096;
    return 0;
}

/* fstat of fd, which the gate could do by itself. */
static int stat_fd(struct task *t, const struct sysargs *a, int fd, struct stat *st)
{
    _cleanup_file_ struct file *f = fd_get_path(t, fd);

    if (f)
        t->used_lane = lane_plain(t, a, fd, f);
    return f ? stat_file(t, f, st) : -EBADF;
}

static long put_stat(struct task *t, uaddr_t to, const struct stat *st)
{
    return copy_to_user(t, to, st, sizeof(*st));
}

static long stat_call(struct task *t, const struct sysargs *a, int dfd, uaddr_t upath, uaddr_t ust,
                      int at_flags)
{
    char path[PATH_MAX];
    struct statx stx;
    struct stat st;
    long r = path_from_user(t, path, upath);

    if (r == 0 && (at_flags & AT_EMPTY_PATH) && dfd != AT_FDCWD) {
        r = stat_fd(t, a, dfd, &st);
    } else if (r >= 0) {
        r = stat_path(t, dfd, path, at_flags, STATX_BASIC_STATS, &stx, false);
        if (r == 0)
            stat_from_statx(&st, &stx);
    }
    return r < 0 ? r : put_stat(t, ust, &st);
}

long sys_stat(struct task *t, const struct sysargs *a)
{
    return stat_call(t, a, AT_FDCWD, a->arg[0], a->arg[1], 0);
}

long sys_lstat(struct task *t, const struct sysargs *a)
{
    return stat_call(t, a, AT_FDCWD, a->arg[0], a->arg[1], AT_SYMLINK_NOFOLLOW);
}

long sys_newfstatat(struct task *t, const struct sysargs *a)
{
    int flags = (int)a->arg[3];

    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT))
        return -EINVAL;
    if ((flags & AT_EMPTY_PATH) && a->arg[1] == 0) { /* newer kernels take NULL for "" */
        struct stat st;
        int r = stat_fd(t, a, (int)a->arg[0], &st);
        return r < 0 ? r : put_stat(t, a->arg[2], &st);
    }
    return stat_call(t, a, (int)a->arg[0], a->arg[1], a->arg[2], flags);
}

long sys_fstat(struct task *t, const struct sysargs *a)
{
    struct stat st;
    int r = stat_fd(t, a, (int)a->arg[0], &st);

    return r < 0 ? r : put_stat(t, a->arg[1], &st);
}

static int statx_file(struct task *t, int fd, unsigned mask, struct statx *stx)
{
    _cleanup_file_ struct file *f = fd_get_path(t, fd);
    struct stat st;

    if (!f)
        return -EBADF;
    if (f->dentry) {
        int r = dentry_statx(t, f->dentry, mask, stx);
        stx->stx_mnt_id = (uint64_t)dentry_mount_id(t, f->dentry);
        stx->stx_mask |= STATX_MNT_ID;
        return r;
    }
    int r = stat_file(t, f, &st);
    if (r == 0)
        statx_from_stat(stx, &st);
    return r;
}

long sys_statx(struct task *t, const struct sysargs *a)
{
    int flags = (int)a->arg[2];
    unsigned mask =
        (unsigned)a->arg[3] & (STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID | 0x2000 /* DIOALIGN */);
    char path[PATH_MAX] = "";
    struct statx stx;
    long r = 0;

    if ((a->arg[3] & STATX__RESERVED) || (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE ||
        (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE)))
        return -EINVAL;
    if (a->arg[1] != 0 || !(flags & AT_EMPTY_PATH))
        r = path_from_user(t, path, a->arg[1]);
    if (r < 0)
        return r;
    if (!*path && (flags & AT_EMPTY_PATH) && (int)a->arg[0] != AT_FDCWD)
        r = statx_file(t, (int)a->arg[0], mask, &stx);
    else
        r = stat_path(t, (int)a->arg[0], path, flags, mask, &stx, true);
    return r < 0 ? r : copy_to_user(t, a->arg[4], &stx, sizeof(stx));
}

/* statfs
 * ----------------------------------------------------------------------------------------------------- */

long sys_statfs(struct task *t, const struct sysargs *a)
{
    char path[PATH_MAX];
    struct statfs sf;
    _cleanup_dentry_ struct dentry *d = NULL;
    long r = path_from_user(t, path, a->arg[0]);

    if (r >= 0)
        r = path_lookup(t, AT_FDCWD, path, LOOKUP_FOLLOW, &d);
    later_settle();
    if (r == 0)
        r = dentry_statfs(t, d, &sf);
    return r < 0 ? r : copy_to_user(t, a->arg[1], &sf, sizeof(sf));
}

long sys_fstatfs(struct task *t, const struct sysargs *a)
{
    _cleanup_file_ struct file *f = fd_get_path(t, (int)a->arg[0]);
    struct statfs sf;
    struct dentry anonymous = {.fd = -1};

    if (!f)
        return -EBADF;
    later_settle();
    if (!f->dentry && f->hostfd >= 0 && fstatfs(f->hostfd, &sf) == 0)
        return copy_to_user(t, a->arg[1], &sf, sizeof(sf));
    int r = dentry_statfs(t, f->dentry ? f->dentry : &anonymous, &sf);
    return r < 0 ? r : copy_to_user(t, a->arg[1], &sf, sizeof(sf));
}

/* access
 * ----------------------------------------------------------------------------------------------------- */

static int access_path(struct task *t, int dfd, const char *path, int mode, int flags)
{
    unsigned wf = (flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0);
    bool real = !(flags & AT_EACCESS);
    _cleanup_dentry_ struct dentry *d = NULL;
    _cleanup_walk_ struct walk w;
    int r = walk_begin(&w, t, dfd, path, wf);

    if (r < 0)
        return r;
    if (w.plain && !w.self) {
        if (real)
            vfs_assume_real(t);
        else
            vfs_assume(t);
        if (faccessat(w.base->fd, w.rel, mode, AT_EACCESS | (flags & AT_SYMLINK_NOFOLLOW)) == 0)
            return 0;
        r = walk_failed(&w, errno);
        if (r != WALK_SLOW)
            return r;
        w.host = false;
    }
    r = walk_lookup(&w, wf, &d);
    return r < 0 ? r : dentry_access(t, d, mode, real);
}

static long access_call(struct task *t, int dfd, uaddr_t upath, uint64_t mode, int flags)
{
    char path[PATH_MAX];

    if ((mode & ~(uint64_t)(R_OK | W_OK | X_OK)) ||
        (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)))
        return -EINVAL;
    long r = path_from_user(t, path, upath);
    return r < 0 ? r : access_path(t, dfd, path, (int)mode, flags);
}

long sys_access(struct task *t, const struct sysargs *a)
{
    return access_call(t, AT_FDCWD, a->arg[0], (uint32_t)a->arg[1], 0);
}

long sys_faccessat(struct task *t, const struct sysargs *a)
{
    return access_call(t, (int)a->arg[0], a->arg[1], (uint32_t)a->arg[2], 0);
}

long sys_faccessat2(struct task *t, const struct sysargs *a)
{
    return access_call(t, (int)a->arg[0], a->arg[1], (uint32_t)a->arg[2], (int)a->arg[3]);
}
