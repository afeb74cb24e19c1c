/* Making, removing and renaming names. */
#include <linux/capability.h>
#include <linux/fs.h>
#include <sys/syscall.h>

#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/fs/vfs_priv.h"

/* A name in a directory of the host, ready for an *at call. */
struct place {
    struct walk w;
    struct dentry *dir;
    char name[258]; /* with the slash that followed it, for the host to judge */
    bool trailing;
};

static void place_end(struct place *p)
{
    dentry_put(p->dir);
    walk_end(&p->w);
}
#define _cleanup_place_ _cleanup_(place_end)

enum place_use {
    PLACE_CREATE, /* nothing may be there yet */
    PLACE_REMOVE, /* something should be there */
    PLACE_RENAME, /* the same; that another mount is meant counts before that it is read-only */
};

/* In the keep's own file systems nobody makes or removes names. Says why in Linux's order. */
static int refuse_pseudo(struct task *t, struct place *p, enum place_use use)
{
    struct pnode *dir = p->dir->node, *n = NULL;
    int r = -ENOENT;

    if (!dir)
        return -ENOTDIR;
    if (dir->ops->lookup)
        r = dir->ops->lookup(t, dir, p->name, &n);
    pnode_put(n);
    if (r == 0 && use == PLACE_CREATE)
        return -EEXIST;
    if (r == -ENOENT && use != PLACE_CREATE)
        return -ENOENT;
    if (r < 0 && r != -ENOENT)
        return r;
    if (r == -ENOENT && dentry_in_proc(p->dir))
        return -ENOENT; /* as its lookup says before anything else is asked */
    if (mount_readonly(p->dir))
        return -EROFS;
    r = pseudo_access(t, dir, W_OK | X_OK, false);
    return r < 0 ? r : -EPERM;
}

/* like: a place that was found just now, perhaps in the same directory; or NULL. */
static int place_find(struct place *p, struct task *t, int dfd, const char *path, const struct place *like)
{
    int r = walk_begin(&p->w, t, dfd, path, 0);

    if (r < 0)
        return r;
    r = like ? walk_sibling(&p->w, &like->w, like->dir, &p->dir, p->name, &p->trailing) : WALK_SLOW;
    return r == WALK_SLOW ? walk_parent(&p->w, &p->dir, p->name, &p->trailing) : r;
}

static int place_begin_at(struct place *p, struct task *t, int dfd, const char *path, enum place_use use,
                          const struct place *like)
{
    memset(p, 0, sizeof(*p));
    int r = place_find(p, t, dfd, path, like);
    if (r < 0)
        return r;
    if (strcmp(p->name, "/") == 0)
        return use == PLACE_CREATE ? -EEXIST : -EBUSY;
    bool dots = strcmp(p->name, ".") == 0 || strcmp(p->name, "..") == 0;
    if (!dots && !p->w.straight && mount_is_point(p->w.ns, p->dir, p->name))
        return use == PLACE_CREATE ? -EEXIST : -EBUSY;
    if (p->dir->fd < 0)
        return refuse_pseudo(t, p, use);
    if (use != PLACE_RENAME && mount_readonly(p->dir)) {
        struct stat st;
        bool there = fstatat(p->dir->fd, p->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
        return there && use == PLACE_CREATE ? -EEXIST : !there && use == PLACE_REMOVE ? -ENOENT : -EROFS;
    }
    if (p->trailing)
        strcat(p->name, "/");
    vfs_assume(t);
    return 0;
}

static int place_begin(struct place *p, struct task *t, int dfd, const char *path, enum place_use use)
{
    return place_begin_at(p, t, dfd, path, use, NULL);
}

/* walk_begin and place_begin clean up after themselves only by place_end, which is safe on a zeroed place. */
#define PLACE(p_) _cleanup_place_ struct place p_ = {0}

static long result(int r)
{
    return r == 0 ? 0 : -errno;
}

/* mkdir, rmdir, unlink
 * ------------------------------------------------------------------------------------------ */

static long do_mkdir(struct task *t, int dfd, uaddr_t upath, mode_t mode)
{
    char path[PATH_MAX];
    PLACE(p);
    long r = path_from_user(t, path, upath);

    if (r >= 0)
        r = place_begin(&p, t, dfd, path, PLACE_CREATE);
    return r < 0 ? r : result(mkdirat(p.dir->fd, p.name, mode & 01777 & ~task_umask(t)));
}

long sys_mkdir(struct task *t, const struct sysargs *a)
{
    return do_mkdir(t, AT_FDCWD, a->arg[0], (mode_t)a->arg[1]);
}

long sys_mkdirat(struct task *t, const struct sysargs *a)
{
    return do_mkdir(t, (int)a->arg[0], a->arg[1], (mode_t)a->arg[2]);
}

static bool is_dir(struct task *t, int dfd, const char *path)
{
    _cleanup_dentry_ struct dentry *d = NULL;

    return path_lookup(t, dfd, path, 0, &d) == 0 && dentry_type(d) == S_IFDIR;
}

/* By the host in one go, where no name on the way can be one of ours. WALK_SLOW: it is to be looked for. */
static long unlink_plain(struct task *t, int dfd, const char *path)
{
    _cleanup_walk_ struct walk w;
    int r = walk_begin(&w, t, dfd, path, 0);

    if (r < 0)
        return r;
    if (!w.plain || w.self || !w.certain)
        return WALK_SLOW;
    vfs_assume(t);
    return unlinkat(w.base->fd, w.rel, 0) == 0 ? 0 : errno == ENOENT ? walk_failed(&w, ENOENT) : WALK_SLOW;
}

static long remove_name(struct task *t, int dfd, const char *path, int flags)
{
    PLACE(p);
    long r = place_begin(&p, t, dfd, path, PLACE_REMOVE);

    if (r == -EBUSY && !(flags & AT_REMOVEDIR) && is_dir(t, dfd, path))
        return -EISDIR;
    return r < 0 ? r : result(unlinkat(p.dir->fd, p.name, flags));
}

static long do_unlink(struct task *t, int dfd, uaddr_t upath, int flags)
{
    char path[PATH_MAX];

    if (flags & ~AT_REMOVEDIR)
        return -EINVAL;
    long r = path_from_user(t, path, upath);
    if (r >= 0)
        r = flags & AT_REMOVEDIR ? WALK_SLOW : unlink_plain(t, dfd, path);
    if (r == WALK_SLOW)
        r = remove_name(t, dfd, path, flags);
    if (r >= 0 && !(flags & AT_REMOVEDIR))
        later_settle(); /* the space comes back with the last close */
    return r;
}

long sys_rmdir(struct task *t, const struct sysargs *a)
{
    return do_unlink(t, AT_FDCWD, a->arg[0], AT_REMOVEDIR);
}

long sys_unlink(struct task *t, const struct sysargs *a)
{
    return do_unlink(t, AT_FDCWD, a->arg[0], 0);
}

long sys_unlinkat(struct task *t, const struct sysargs *a)
{
    return do_unlink(t, (int)a->arg[0], a->arg[1], (int)a->arg[2]);
}

/* rename
 * ----------------------------------------------------------------------------------------------------------
 */

/* What has this name now was renamed: with a directory, the places of mounts may be. */
static void note_renamed(const struct place *p)
{
    struct mount_ns *ns = p->w.ns;
    struct stat st;

    if (atomic_load(&ns->deep) && !atomic_load(&ns->moved) &&
        (fstatat(p->dir->fd, p->name, &st, AT_SYMLINK_NOFOLLOW) != 0 || S_ISDIR(st.st_mode)))
        atomic_store(&ns->moved, true);
}

static long do_rename(struct task *t, int odfd, uaddr_t uold, int ndfd, uaddr_t unew, unsigned flags)
{
    char old[PATH_MAX], new[PATH_MAX];
    PLACE(from);
    PLACE(to);

    if ((flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) ||
        ((flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)) && (flags & RENAME_EXCHANGE)))
        return -EINVAL;
    if ((flags & RENAME_WHITEOUT) && !capable(t, CAP_MKNOD))
        return -EPERM;
    long r = path_from_user(t, old, uold);
    if (r >= 0)
        r = path_from_user(t, new, unew);
    if (r >= 0)
        r = place_begin(&from, t, odfd, old, PLACE_RENAME);
    if (r >= 0)
        r = place_begin_at(&to, t, ndfd, new, PLACE_RENAME, &from);
    if (r >= 0)
        r = from.dir->mnt != to.dir->mnt ? -EXDEV : mount_readonly(to.dir) ? -EROFS : 0;
    else if (r == -ENOENT && to.dir && to.dir->fd < 0)
        r = -EXDEV; /* a new name in one of the keep's own */
    if (r < 0)
        return r;
    r = result((int)syscall(SYS_renameat2, from.dir->fd, from.name, to.dir->fd, to.name, flags));
    if (r < 0)
        return r;
    note_renamed(&to);
    if (flags & RENAME_EXCHANGE)
        note_renamed(&from);
    later_settle(); /* as in do_unlink */
    return r;
}

long sys_rename(struct task *t, const struct sysargs *a)
{
    return do_rename(t, AT_FDCWD, a->arg[0], AT_FDCWD, a->arg[1], 0);
}

long sys_renameat(struct task *t, const struct sysargs *a)
{
    return do_rename(t, (int)a->arg[0], a->arg[1], (int)a->arg[2], a->arg[3], 0);
}

long sys_renameat2(struct task *t, const struct sysargs *a)
{
    return do_rename(t, (int)a->arg[0], a->arg[1], (int)a->arg[2], a->arg[3], (unsigned)a->arg[4]);
}

/* link, symlink, readlink
 * ------------------------------------------------------------------------------------------ */

/* By its descriptor: only so is it sure that the very object that was looked up gets the name. */
static long link_object(struct dentry *d, struct place *to)
{
    char name[40];

    if (d->fd < 0)
        return d->file ? -EXDEV : -EXDEV;
    if (d->mnt != to->dir->mnt)
        return -EXDEV;
    dentry_procname(d, name);
    return result(linkat(kernel.procfd, name, to->dir->fd, to->name, AT_SYMLINK_FOLLOW));
}

/* By the host in one go, as unlink_plain: what it finds by a plain walk and can link is the file that is
 * meant. */
static long link_plain(struct task *t, int odfd, const char *old, int ndfd, const char *new)
{
    _cleanup_walk_ struct walk w;
    PLACE(to);
    int r = walk_begin(&w, t, odfd, old, 0);

    if (r < 0)
        return r;
    if (!w.plain || w.self || !w.certain || place_begin(&to, t, ndfd, new, PLACE_CREATE) < 0 ||
        !to.w.straight)
        return WALK_SLOW;
    return linkat(w.base->fd, w.rel, to.dir->fd, to.name, 0) == 0 ? 0 : WALK_SLOW;
}

static long link_found(struct task *t, int odfd, const char *old, int ndfd, const char *new, int flags)
{
    _cleanup_dentry_ struct dentry *d = NULL;
    PLACE(to);
    unsigned look =
        (flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    long r = path_lookup(t, odfd, old, look, &d);

    if (r >= 0)
        r = place_begin(&to, t, ndfd, new, PLACE_CREATE);
    return r < 0 ? r : link_object(d, &to);
}

static long do_link(struct task *t, int odfd, uaddr_t uold, int ndfd, uaddr_t unew, int flags)
{
    char old[PATH_MAX], new[PATH_MAX];

    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    long r = path_from_user(t, old, uold);
    if (r >= 0)
        r = path_from_user(t, new, unew);
    if (r == 0)
        r = -ENOENT; /* the new path is empty */
    if (r >= 0 && !*old && (flags & AT_EMPTY_PATH) && !capable(t, CAP_DAC_READ_SEARCH))
        r = -ENOENT;
    if (r < 0)
        return r;
    r = flags ? WALK_SLOW : link_plain(t, odfd, old, ndfd, new);
    return r == WALK_SLOW ? link_found(t, odfd, old, ndfd, new, flags) : r;
}

long sys_link(struct task *t, const struct sysargs *a)
{
    return do_link(t, AT_FDCWD, a->arg[0], AT_FDCWD, a->arg[1], 0);
}

long sys_linkat(struct task *t, const struct sysargs *a)
{
    return do_link(t, (int)a->arg[0], a->arg[1], (int)a->arg[2], a->arg[3], (int)a->arg[4]);
}

static long do_symlink(struct task *t, uaddr_t utext, int dfd, uaddr_t upath)
{
    char text[PATH_MAX], path[PATH_MAX];
    PLACE(p);
    long r = path_from_user(t, text, utext);

    if (r == 0)
        return -ENOENT;
    if (r > 0)
        r = path_from_user(t, path, upath);
    if (r >= 0)
        r = place_begin(&p, t, dfd, path, PLACE_CREATE);
    return r < 0 ? r : result(symlinkat(text, p.dir->fd, p.name));
}

long sys_symlink(struct task *t, const struct sysargs *a)
{
    return do_symlink(t, a->arg[0], AT_FDCWD, a->arg[1]);
}

long sys_symlinkat(struct task *t, const struct sysargs *a)
{
    return do_symlink(t, a->arg[0], (int)a->arg[1], a->arg[2]);
}

static long read_text(struct task *t, struct dentry *d, char *buf, size_t size)
{
    if (dentry_type(d) != S_IFLNK)
        return -EINVAL;
    if (d->node)
        return d->node->ops->readlink ? d->node->ops->readlink(t, d->node, buf, size) : -EINVAL;
    ssize_t n = readlinkat(d->fd, "", buf, size);
    return n < 0 ? -errno : n;
}

static long readlink_path(struct task *t, int dfd, const char *path, char *buf, size_t size)
{
    _cleanup_dentry_ struct dentry *d = NULL;
    _cleanup_walk_ struct walk w;
    int r = walk_begin(&w, t, dfd, path, WALK_EMPTY);

    if (r < 0)
        return r;
    if (!*path && dfd == AT_FDCWD)
        return -ENOENT;
    vfs_assume(t);
    if (w.plain && !w.self) {
        ssize_t n = readlinkat(w.base->fd, w.rel, buf, size);
        if (n >= 0)
            return n;
        r = walk_failed(&w, errno);
        if (r != WALK_SLOW)
            return r;
        w.host = false;
    }
    r = walk_lookup(&w, 0, &d);
    if (r < 0)
        return r;
    long n = read_text(t, d, buf, size);
    return n == -EINVAL && !*path ? -ENOENT : n;
}

static long do_readlink(struct task *t, int dfd, uaddr_t upath, uaddr_t ubuf, int size)
{
    char path[PATH_MAX], buf[PATH_MAX];

    if (size <= 0)
        return -EINVAL;
    long n = path_from_user(t, path, upath);
    if (n >= 0)
        n = readlink_path(t, dfd, path, buf, sizeof(buf));
    if (n < 0)
        return n;
    if (n > size)
        n = size;
    int r = copy_to_user(t, ubuf, buf, (size_t)n);
    return r < 0 ? r : n;
}

long sys_readlink(struct task *t, const struct sysargs *a)
{
    return do_readlink(t, AT_FDCWD, a->arg[0], a->arg[1], (int)a->arg[2]);
}

long sys_readlinkat(struct task *t, const struct sysargs *a)
{
    return do_readlink(t, (int)a->arg[0], a->arg[1], a->arg[2], (int)a->arg[3]);
}

/* mknod
 * ------------------------------------------------------------------------------------------------------------
 */

static long do_mknod(struct task *t, int dfd, uaddr_t upath, mode_t mode, unsigned dev)
{
    char path[PATH_MAX];
    PLACE(p);
    mode_t type = mode & S_IFMT ? mode & S_IFMT : S_IFREG;
    mode_t perm = mode & 07777 & ~task_umask(t);

    /* The number comes in the 32-bit form of the system call. */
    dev_t rdev = makedev((dev & 0xfff00) >> 8, (dev & 0xff) | ((dev >> 12) & 0xfff00));

    if (type == S_IFDIR)
        return -EPERM;
    if (type != S_IFREG && type != S_IFIFO && type != S_IFSOCK && type != S_IFCHR && type != S_IFBLK)
        return -EINVAL;
    long r = path_from_user(t, path, upath);
    if (r >= 0)
        r = place_begin(&p, t, dfd, path, PLACE_CREATE);
    if (r < 0)
        return r;
    if (type == S_IFCHR || type == S_IFBLK)
        return capable(t, CAP_MKNOD) ? device_make(p.dir->fd, p.name, type | perm, rdev) : -EPERM;
    return result(mknodat(p.dir->fd, p.name, type | perm, 0));
}

long sys_mknod(struct task *t, const struct sysargs *a)
{
    return do_mknod(t, AT_FDCWD, a->arg[0], (mode_t)a->arg[1], (unsigned)a->arg[2]);
}

long sys_mknodat(struct task *t, const struct sysargs *a)
{
    return do_mknod(t, (int)a->arg[0], a->arg[1], (mode_t)a->arg[2], (unsigned)a->arg[3]);
}
