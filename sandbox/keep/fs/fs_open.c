/* open(2) and its family. */
#include "sandbox/keep/fs/vfs_priv.h"

#include <sys/mount.h>

#include "sandbox/keep/lanes/kept.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/mm/uaccess.h"

#define VALID_OPEN_FLAGS                                                                                     \
    (HOST_OPEN_FLAGS | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_ASYNC | O_PATH | O_LARGEFILE | 0100000)
/* Without a doorbell calls on the new file cost little, too: then a lane is worth one only for so many times
 * more. */
#define DOORBELL_TIMES 2
#define O_TMPFILE_BIT (O_TMPFILE & ~O_DIRECTORY)

struct opening {
    struct task *t;
    struct walk w;
    int flags;
    mode_t mode;
    uint64_t resolve; /* openat2's own restrictions */
};

mode_t task_umask(struct task *t)
{
    return __atomic_load_n(&t->fs->umask, __ATOMIC_RELAXED);
}

static int check_flags(int *flags, mode_t *mode)
{
    *flags &= VALID_OPEN_FLAGS;
    if (*flags & O_PATH)
        *flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    if (*flags & O_TMPFILE_BIT) {
        if ((*flags & O_TMPFILE) != O_TMPFILE || (*flags & O_ACCMODE) == O_RDONLY || (*flags & O_CREAT))
            return -EINVAL;
    } else if (!(*flags & O_CREAT)) {
        *mode = 0;
    }
    if ((*flags & O_CREAT) && (*flags & O_DIRECTORY))
        return -EINVAL;
    *mode &= 07777;
    return 0;
}

/* The host refused, perhaps because it is no plain file: devices are EACCES on nodev mounts, FIFOs without
 * a reader ENXIO. */
static int open_special(struct opening *o, int err, struct file **ret)
{
    unsigned follow = o->flags & O_NOFOLLOW ? 0 : WALK_FOLLOW;
    _cleanup_dentry_ struct dentry *d = NULL;
    int r = walk_lookup(&o->w, follow, &d);

    if (r < 0)
        return -err;
    mode_t type = dentry_type(d);
    if (d->fd >= 0 && type != S_IFCHR && type != S_IFBLK && type != S_IFIFO)
        return -err;
    if ((o->flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
        return -EEXIST;
    return dentry_open(o->t, d, o->flags, ret);
}

/* What will hardly be a plain file: looking at it first saves the attempt. And where a driver of the host's
 * might answer, the attempt must not be made. */
static bool likely_device(const struct walk *w)
{
    if (w->ns->slaves)
        return true;
    return w->base == w->ns->main->root && strncmp(w->rel, "dev/", 4) == 0 && !strchr(w->rel + 4, '/');
}

static int open_fast(struct opening *o, struct file **ret)
{
    struct walk *w = &o->w;
    int hf = (o->flags & (int)HOST_OPEN_FLAGS) | HOST_OPEN_ALWAYS;
    uint64_t resolve = w->resolve | o->resolve;

    if (likely_device(w)) {
        int r = open_special(o, EAGAIN, ret);
        if (r != -EAGAIN)
            return r;
    }
    if (o->flags & O_CREAT) {
        /* Nothing may be made in the hidden directory below a mount of ours: no symlink may have led there.
         */
        if (!w->certain)
            return WALK_SLOW;
        resolve |= RESOLVE_NO_SYMLINKS;
    }
    mode_t mode = o->mode & ~task_umask(o->t);
    uint64_t not_exec = mode & (S_IXUSR | S_IXGRP | S_IXOTH) ? 0 : atomic_load(&kernel.exec_given) + 1;
    int fd = sys_openat2_raw(w->base->fd, w->rel, (uint64_t)hf, mode, resolve);
    if (fd >= 0 && (o->flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
        return hostfs_new_file(w->base->mnt, fd, o->flags, not_exec, ret);
    if (fd >= 0)
        return hostfs_file(o->t, w->base->mnt, fd, o->flags, ret);
    if (fd == -EACCES || fd == -ENXIO)
        return open_special(o, -fd, ret);
    if ((o->flags & O_CREAT) && fd == -ELOOP)
        return WALK_SLOW;
    return walk_failed(w, -fd);
}

static int open_link(struct opening *o, struct dentry *link, struct file **ret)
{
    const struct pnode_ops *ops = link->node->ops;
    struct dentry *to = NULL;
    int r = -ENXIO;

    if (ops->follow)
        r = ops->follow(o->t, link->node, &to);
    if (r == -ENXIO && ops->open_link)
        return ops->open_link(o->t, link->node, o->flags, ret);
    if (r < 0)
        return r;
    r = o->flags & O_PATH ? hostfs_path_file(to, o->flags, ret) : dentry_open(o->t, to, o->flags, ret);
    dentry_put(to);
    return r;
}

static int open_found(struct opening *o, struct dentry *d, struct file **ret)
{
    mode_t type = dentry_type(d);

    if ((o->flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
        return -EEXIST;
    if ((o->flags & O_CREAT) && type == S_IFDIR)
        return -EISDIR;
    if (type == S_IFLNK && !(o->flags & O_NOFOLLOW))
        return open_link(o, d, ret); /* only a magic one is left unfollowed */
    if (o->flags & O_PATH)
        return hostfs_path_file(d, o->flags, ret);
    return dentry_open(o->t, d, o->flags & ~(O_CREAT | O_EXCL), ret);
}

static int open_new(struct opening *o, struct walked *at, struct file **ret)
{
    struct dentry *dir = at->parent;
    int hf = (o->flags & (int)HOST_OPEN_FLAGS) | HOST_OPEN_ALWAYS;

    if (at->trailing)
        return -EISDIR;
    if (dir->fd < 0)
        return mount_readonly(dir) ? -EROFS : dentry_in_proc(dir) ? -ENOENT : -EACCES;
    if (mount_readonly(dir))
        return -EROFS;
    int fd = sys_openat2_raw(dir->fd, at->last, (uint64_t)hf, o->mode & ~task_umask(o->t),
                             RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    return fd < 0 ? fd : hostfs_file(o->t, dir->mnt, fd, o->flags, ret);
}

static int open_slow(struct opening *o, struct file **ret)
{
    struct walked at = {0};
    bool excl = (o->flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
    unsigned wf = WALK_MAGIC | (o->flags & O_CREAT ? WALK_CREATE : 0) |
                  ((o->flags & O_NOFOLLOW) || excl ? 0 : WALK_FOLLOW) |
                  (o->flags & O_DIRECTORY ? WALK_DIRECTORY : 0);

    int r = walk_slow(&o->w, wf, &at);
    if (r == 0)
        r = at.child ? open_found(o, at.child, ret) : open_new(o, &at, ret);
    walked_clear(&at);
    return r;
}

static int open_tmpfile(struct opening *o, struct file **ret)
{
    _cleanup_dentry_ struct dentry *dir = NULL;
    int hf = (o->flags & (int)HOST_OPEN_FLAGS) | HOST_OPEN_ALWAYS;
    int r = walk_lookup(&o->w, WALK_FOLLOW | WALK_DIRECTORY, &dir);

    if (r < 0)
        return r;
    if (dir->fd < 0)
        return -EOPNOTSUPP;
    if (mount_readonly(dir))
        return -EROFS;
    int fd = openat(dir->fd, ".", hf, o->mode & ~task_umask(o->t));
    return fd < 0 ? -errno : hostfs_file(o->t, dir->mnt, fd, o->flags, ret);
}

static int open_path(struct opening *o, struct file **ret)
{
    _cleanup_dentry_ struct dentry *d = NULL;
    unsigned wf = (o->flags & O_NOFOLLOW ? 0 : WALK_FOLLOW) | (o->flags & O_DIRECTORY ? WALK_DIRECTORY : 0);
    int r = walk_lookup(&o->w, wf, &d);

    return r < 0 ? r : hostfs_path_file(d, o->flags, ret);
}

static int do_open(struct opening *o, struct file **ret)
{
    int r = WALK_SLOW;

    vfs_assume(o->t);
    if ((o->flags & O_TMPFILE_BIT) != 0)
        return open_tmpfile(o, ret);
    if (o->flags & O_PATH)
        return open_path(o, ret);
    if (o->w.self)
        return open_found(o, o->w.base, ret);
    if (o->w.host)
        r = open_fast(o, ret);
    return r == WALK_SLOW ? open_slow(o, ret) : r;
}

/* refuse: as in struct walk. */
static int open_walked(struct task *t, int dfd, const char *path, int flags, mode_t mode, uint64_t refuse,
                       struct file **ret)
{
    struct opening o = {.t = t, .flags = flags, .mode = mode};
    int r = check_flags(&o.flags, &o.mode);

    if (r == 0)
        r = walk_begin(&o.w, t, dfd, path, 0);
    if (r < 0)
        return r;
    o.w.refuse = refuse;
    o.w.resolve |= refuse;
    r = do_open(&o, ret);
    walk_end(&o.w);
    return r;
}

int vfs_open(struct task *t, int dfd, const char *path, int flags, mode_t mode, struct file **ret)
{
    return open_walked(t, dfd, path, flags, mode, 0, ret);
}

int dentry_open(struct task *t, struct dentry *d, int flags, struct file **ret)
{
    if (flags & O_PATH)
        return hostfs_path_file(d, flags, ret);
    if (d->node)
        return pseudo_open(t, d, flags, ret);
    return d->file ? file_reopen(t, d->file, flags, ret) : hostfs_reopen(t, d, flags, ret);
}

/* The calls
 * -------------------------------------------------------------------------------------------------- */

static long open_call(struct task *t, const struct sysargs *a, int dfd, uaddr_t upath, int flags, mode_t mode)
{
    char path[PATH_MAX];
    struct file *f = NULL;
    long r = path_from_user(t, path, upath);

    if (r < 0)
        return r;
    kept_opening(t, path, (unsigned)flags);
    r = !a->listener && (lane_pays_at_open(t, DOORBELL_TIMES) || kept_is_due(t))
            ? -ERESTARTNOINTR /* by the doorbell */
            : vfs_open(t, dfd, path, flags, mode, &f);
    return r < 0 ? r : fd_return_lane(t, a, f, flags & O_CLOEXEC);
}

long sys_open(struct task *t, const struct sysargs *a)
{
    return open_call(t, a, AT_FDCWD, a->arg[0], (int)a->arg[1], (mode_t)a->arg[2]);
}

long sys_openat(struct task *t, const struct sysargs *a)
{
    return open_call(t, a, (int)a->arg[0], a->arg[1], (int)a->arg[2], (mode_t)a->arg[3]);
}

long sys_creat(struct task *t, const struct sysargs *a)
{
    return open_call(t, a, AT_FDCWD, a->arg[0], O_CREAT | O_WRONLY | O_TRUNC, (mode_t)a->arg[1]);
}

/* A struct open_how of any size that has only zeros where we know nothing. */
static int copy_how(struct task *t, struct open_how *how, uaddr_t uhow, size_t size)
{
    char buf[4096];

    if (size < sizeof(*how))
        return -EINVAL;
    if (size > sizeof(buf))
        return -E2BIG;
    if (copy_from_user(t, buf, uhow, size) < 0)
        return -EFAULT;
    for (size_t i = sizeof(*how); i < size; i++)
        if (buf[i])
            return -E2BIG;
    memcpy(how, buf, sizeof(*how));
    return 0;
}

#define RESOLVE_ALL                                                                                          \
    (RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_IN_ROOT |     \
     RESOLVE_CACHED)

static int check_how(const struct open_how *how)
{
    uint64_t both = RESOLVE_BENEATH | RESOLVE_IN_ROOT;

    if ((how->flags & ~(uint64_t)VALID_OPEN_FLAGS) || (how->resolve & ~(uint64_t)RESOLVE_ALL) ||
        (how->resolve & both) == both || (how->mode & ~(uint64_t)07777))
        return -EINVAL;
    if (how->mode && !(how->flags & (O_CREAT | O_TMPFILE_BIT)))
        return -EINVAL;
    if ((how->flags & O_PATH) && (how->flags & ~(uint64_t)(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)))
        return -EINVAL;
    return how->resolve & RESOLVE_CACHED ? -EAGAIN : 0;
}

/* openat2 with restrictions to a part of the tree: only where the host can walk the whole path, since it
 * enforces them. Where our own file systems are concerned the answer is the one for a kernel that can not
 * promise it, which callers must expect. */
static int open_restricted(struct task *t, int dfd, const char *path, const struct open_how *how,
                           struct file **ret)
{
    struct opening o = {.t = t, .flags = (int)how->flags, .mode = (mode_t)how->mode, .resolve = how->resolve};
    int r = check_flags(&o.flags, &o.mode);
    bool in_root = how->resolve & RESOLVE_IN_ROOT;

    if (r == 0 && in_root)
        while (*path == '/')
            path++;
    if (r == 0 && path[0] == '/' && (how->resolve & RESOLVE_BENEATH))
        r = -EXDEV;
    if (r == 0)
        r = walk_begin(&o.w, t, dfd, *path || !in_root ? path : ".", 0);
    if (r < 0)
        return r;
    r = -EXDEV;
    if (o.w.host && !(o.w.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT))) {
        int hf =
            (o.flags & (int)(HOST_OPEN_FLAGS | O_PATH)) | (o.flags & O_PATH ? O_CLOEXEC : HOST_OPEN_ALWAYS);
        vfs_assume(t);
        int fd = sys_openat2_raw(o.w.base->fd, o.w.rel, (uint64_t)hf,
                                 how->flags & (O_CREAT | O_TMPFILE_BIT) ? o.mode & ~task_umask(t) : 0,
                                 o.w.resolve | how->resolve);
        r = fd;
        if (fd >= 0 && (o.flags & O_PATH)) {
            struct dentry *d = dentry_host(o.w.base->mnt, fd);
            r = d ? hostfs_path_file(d, o.flags, ret) : -ENOMEM;
            dentry_put(d);
        } else if (fd >= 0) {
            r = hostfs_file(t, o.w.base->mnt, fd, o.flags, ret);
        }
    }
    walk_end(&o.w);
    return r;
}

long sys_openat2(struct task *t, const struct sysargs *a)
{
    char path[PATH_MAX];
    struct open_how how;
    struct file *f = NULL;
    long r = copy_how(t, &how, a->arg[2], a->arg[3]);

    if (r == 0)
        r = check_how(&how);
    if (r == 0)
        r = path_from_user(t, path, a->arg[1]);
    if (r < 0)
        return r;
    if (how.resolve & ~(uint64_t)(RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS))
        r = open_restricted(t, (int)a->arg[0], path, &how, &f);
    else
        r = open_walked(t, (int)a->arg[0], path, (int)how.flags, (mode_t)how.mode, how.resolve, &f);
    return r < 0 ? r : fd_return_lane(t, a, f, how.flags & O_CLOEXEC);
}
