/* Extended attributes. The host has no *at calls for them before 6.13, so an object is named through the
 * keep's own /proc/PID/fd where its descriptor alone does not do. */
#include <linux/limits.h>
#include <stdio.h>
#include <sys/xattr.h>

#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/fs/vfs_priv.h"

enum xattr_op { XATTR_SET, XATTR_GET, XATTR_LIST, XATTR_REMOVE };

struct xattr_call {
    enum xattr_op op;
    char name[XATTR_NAME_MAX + 1];
    char *buf; /* value or list */
    size_t size;
    int flags;
};

/* An object by its path: absolute (the keep's root is the container's), or below kernel.procfd, which is the
 * keep's working directory (files_init sees to it). */
static ssize_t call_followed(const char *name, struct xattr_call *c)
{
    switch (c->op) {
    case XATTR_SET:
        return setxattr(name, c->name, c->buf, c->size, c->flags);
    case XATTR_GET:
        return getxattr(name, c->name, c->buf, c->size);
    case XATTR_LIST:
        return listxattr(name, c->buf, c->size);
    default:
        return removexattr(name, c->name);
    }
}

static ssize_t call_link(const char *name, struct xattr_call *c)
{
    switch (c->op) {
    case XATTR_SET:
        return lsetxattr(name, c->name, c->buf, c->size, c->flags);
    case XATTR_GET:
        return lgetxattr(name, c->name, c->buf, c->size);
    case XATTR_LIST:
        return llistxattr(name, c->buf, c->size);
    default:
        return lremovexattr(name, c->name);
    }
}

static ssize_t call_fd(int fd, struct xattr_call *c)
{
    switch (c->op) {
    case XATTR_SET:
        return fsetxattr(fd, c->name, c->buf, c->size, c->flags);
    case XATTR_GET:
        return fgetxattr(fd, c->name, c->buf, c->size);
    case XATTR_LIST:
        return flistxattr(fd, c->buf, c->size);
    default:
        return fremovexattr(fd, c->name);
    }
}

static bool is_of_users(const struct xattr_call *c)
{
    return c->op != XATTR_LIST && strncmp(c->name, "user.", 5) == 0;
}

/* xattr(7): only files and directories have those of users. */
static int check_users(struct dentry *d, const struct xattr_call *c)
{
    mode_t type = is_of_users(c) ? dentry_type(d) : S_IFREG;

    return type == S_IFREG || type == S_IFDIR ? 0 : c->op == XATTR_GET ? -ENODATA : -EPERM;
}

static ssize_t call_dentry(struct task *t, struct dentry *d, struct xattr_call *c)
{
    char name[40];

    if ((c->op == XATTR_SET || c->op == XATTR_REMOVE) && mount_readonly(d))
        return -EROFS;
    int r = check_users(d, c);
    if (r < 0)
        return r;
    if (d->fd < 0)
        return c->op == XATTR_LIST ? 0 : -EOPNOTSUPP;
    dentry_procname(d, name);
    vfs_assume(t);
    ssize_t n = call_followed(name, c);
    return n < 0 ? -errno : n;
}

/* Where the host may walk the whole path, it does so within the one call. */
static ssize_t call_plain(struct walk *w, bool follow, struct xattr_call *c, bool *slow)
{
    char name[PATH_MAX];
    int n;

    *slow = true;
    if (w->base == w->ns->main->root)
        n = snprintf(name, sizeof(name), "/%s", w->rel);
    else
        n = snprintf(name, sizeof(name), "%d/fd/%d/%s", (int)kernel.pid, w->base->fd, w->rel);
    if (n < 0 || (size_t)n >= sizeof(name))
        return 0;
    vfs_assume(w->t);
    ssize_t r = follow ? call_followed(name, c) : call_link(name, c);
    if (r < 0) {
        r = walk_failed(w, errno);
        *slow = r == WALK_SLOW;
        return r;
    }
    *slow = false;
    return r;
}

static ssize_t call_walk(struct task *t, const char *path, unsigned look, struct xattr_call *c)
{
    _cleanup_dentry_ struct dentry *d = NULL;
    _cleanup_walk_ struct walk w;
    int r = walk_begin(&w, t, AT_FDCWD, path, 0);

    if (r < 0)
        return r;
    if (w.plain && !w.self && !(device_any() && is_of_users(c))) {
        bool slow;
        ssize_t n = call_plain(&w, look & WALK_FOLLOW, c, &slow);
        if (!slow)
            return n;
        w.host = false;
    }
    r = walk_lookup(&w, look, &d);
    return r < 0 ? r : call_dentry(t, d, c);
}

static ssize_t call_path(struct task *t, uaddr_t upath, unsigned look, struct xattr_call *c)
{
    char path[PATH_MAX];
    long r = path_from_user(t, path, upath);

    return r < 0 ? r : call_walk(t, path, look, c);
}

static ssize_t call_file(struct task *t, int fd, struct xattr_call *c)
{
    _cleanup_file_ struct file *f = fd_get(t, fd);

    if (!f)
        return -EBADF;
    if (f->hostfd < 0 || !f->dentry || f->dentry->fd != f->hostfd)
        return f->dentry ? call_dentry(t, f->dentry, c) : c->op == XATTR_LIST ? 0 : -EOPNOTSUPP;
    if ((c->op == XATTR_SET || c->op == XATTR_REMOVE) && mount_readonly(f->dentry))
        return -EROFS;
    vfs_assume(t);
    ssize_t n = call_fd(f->hostfd, c);
    return n < 0 ? -errno : n;
}

/* Which object the call is about: its first argument is a path, followed or not, or a descriptor. */
enum target { BY_PATH, BY_LINK, BY_FD };

static ssize_t call_target(struct task *t, enum target by, uint64_t arg, struct xattr_call *c)
{
    if (by == BY_FD)
        return call_file(t, (int)arg, c);
    return call_path(t, arg, by == BY_PATH ? LOOKUP_FOLLOW : 0, c);
}

static int get_name(struct task *t, struct xattr_call *c, uaddr_t uname)
{
    long n = strncpy_from_user(t, c->name, uname, sizeof(c->name));

    return n == 0 || n == -ENAMETOOLONG ? -ERANGE : n < 0 ? (int)n : 0;
}

static long do_set(struct task *t, const struct sysargs *a, enum target by)
{
    struct xattr_call c = {.op = XATTR_SET, .size = a->arg[3], .flags = (int)a->arg[4]};

    if (c.flags & ~(XATTR_CREATE | XATTR_REPLACE))
        return -EINVAL;
    if (c.size > XATTR_SIZE_MAX)
        return -E2BIG;
    int r = get_name(t, &c, a->arg[1]);
    if (r < 0)
        return r;
    _cleanup_free_ char *buf = malloc(c.size + 1);
    if (!buf)
        return -ENOMEM;
    if (copy_from_user(t, buf, a->arg[2], c.size) < 0)
        return -EFAULT;
    c.buf = buf;
    long done = call_target(t, by, a->arg[0], &c);
    if (done >= 0 && strncmp(c.name, "system.", 7) == 0)
        later_executable(); /* by an access list */
    return done;
}

/* get and list: into the guest's buffer at ubuf of size bytes. */
static long do_fetch(struct task *t, struct xattr_call *c, enum target by, uint64_t arg, uaddr_t ubuf,
                     size_t size, size_t max)
{
    c->size = size < max ? size : max;
    _cleanup_free_ char *buf = malloc(c->size + 1);
    if (!buf)
        return -ENOMEM;
    c->buf = buf;
    ssize_t n = call_target(t, by, arg, c);
    if (n <= 0 || c->size == 0)
        return n;
    int r = copy_to_user(t, ubuf, buf, (size_t)n);
    return r < 0 ? r : n;
}

static long do_get(struct task *t, const struct sysargs *a, enum target by)
{
    struct xattr_call c = {.op = XATTR_GET};
    int r = get_name(t, &c, a->arg[1]);

    return r < 0 ? r : do_fetch(t, &c, by, a->arg[0], a->arg[2], a->arg[3], XATTR_SIZE_MAX);
}

static long do_list(struct task *t, const struct sysargs *a, enum target by)
{
    struct xattr_call c = {.op = XATTR_LIST};

    return do_fetch(t, &c, by, a->arg[0], a->arg[1], a->arg[2], XATTR_LIST_MAX);
}

static long do_remove(struct task *t, const struct sysargs *a, enum target by)
{
    struct xattr_call c = {.op = XATTR_REMOVE};
    int r = get_name(t, &c, a->arg[1]);

    return r < 0 ? r : call_target(t, by, a->arg[0], &c);
}

#define XATTR_CALLS(verb, fn)                                                                                \
    long sys_##verb(struct task *t, const struct sysargs *a)                                                 \
    {                                                                                                        \
        return fn(t, a, BY_PATH);                                                                            \
    }                                                                                                        \
    long sys_l##verb(struct task *t, const struct sysargs *a)                                                \
    {                                                                                                        \
        return fn(t, a, BY_LINK);                                                                            \
    }                                                                                                        \
    long sys_f##verb(struct task *t, const struct sysargs *a)                                                \
    {                                                                                                        \
        return fn(t, a, BY_FD);                                                                              \
    }

XATTR_CALLS(setxattr, do_set)
XATTR_CALLS(getxattr, do_get)
XATTR_CALLS(listxattr, do_list)
XATTR_CALLS(removexattr, do_remove)
