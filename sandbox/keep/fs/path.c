/* Path walking. Most paths are walked by the host in one call. The others, that may touch one of the keep's
 * own file systems, are walked by components (path_walk.c). */
#include "sandbox/keep/fs/vfs_priv.h"

#include <sys/syscall.h>

/* What the text of a path says -----------------------------------------------------------------------------
 */

bool path_climbs(const char *rel)
{
    size_t len;
    long depth = 0;

    for (const char *p = path_component(rel, &len); len != 0; p = path_component(p + len, &len)) {
        if (path_is_dotdot(p, len)) {
            if (--depth < 0)
                return true;
        } else if (!path_is_dot(p, len)) {
            depth++;
        }
    }
    return false;
}

bool path_touches(const char *path, const char *target)
{
    char at[PATH_MAX];
    size_t n = 0, len, tlen = strlen(target);

    for (const char *p = path_component(path, &len); len != 0; p = path_component(p + len, &len)) {
        if (path_is_dot(p, len))
            continue;
        if (path_is_dotdot(p, len)) {
            while (n > 0 && at[--n] != '/')
                ;
            continue;
        }
        if (n + len + 2 > sizeof(at))
            return true; /* too long to tell */
        at[n++] = '/';
        memcpy(at + n, p, len);
        n += len;
        if (n == tlen && memcmp(at, target, n) == 0)
            return true;
    }
    return false;
}

/* Where a path starts --------------------------------------------------------------------------------------
 */

int sys_openat2_raw(int dfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    int fd = (int)syscall(SYS_openat2, dfd, path, &how, sizeof(how));

    return fd >= 0 ? fd : -errno;
}

/* May the host walk it, how, and how far is it to be believed? */
static void walk_decide(struct walk *w)
{
    struct mount_ns *ns = w->ns;
    struct dentry *base = w->base;

    w->host = w->plain = w->certain = false;
    if (w->self || base->fd < 0)
        return;
    bool in_main = base->mnt == ns->main;
    bool covering = atomic_load_explicit(&ns->covering, memory_order_relaxed);
    bool unbound = in_main && w->root == ns->main->root; /* the host's own root bounds it */

    if (in_main && dentry_same(base, ns->main->root)) {
        w->host = !mount_lexical(ns, w->rel);
        w->certain = true;
    } else {
        w->certain = !path_climbs(w->rel);
        w->host = !mount_above(ns, base) && (w->certain || !covering);
    }
    if (atomic_load_explicit(&ns->moved, memory_order_relaxed)) {
        w->certain = false;
        w->host &= !covering;
    }
    w->resolve = RESOLVE_NO_MAGICLINKS | (covering ? RESOLVE_NO_SYMLINKS : 0);
    if (!unbound)
        w->resolve |= base == w->root ? RESOLVE_IN_ROOT : RESOLVE_BENEATH;
    w->plain = w->host && unbound && !covering && !ns->magic;
}

static void walk_skip(struct walk *w)
{
    w->rel = w->path;
    while (*w->rel == '/')
        w->rel++;
    w->self = !*w->rel;
}

int walk_begin_at(struct walk *w, struct mount_ns *ns, struct dentry *root, struct dentry *base,
                  const char *path)
{
    *w = (struct walk){.ns = ns, .path = path, .root = dentry_get(root)};
    w->base = dentry_get(base && path[0] != '/' ? base : root);
    walk_skip(w);
    walk_decide(w);
    return 0;
}

static int walk_base(struct walk *w, int dfd)
{
    if (w->path[0] == '/') {
        w->base = dentry_get(w->root);
        return 0;
    }
    if (dfd == AT_FDCWD) {
        w->base = fs_cwd(w->t->fs);
        return 0;
    }
    _cleanup_file_ struct file *f = fd_get_path(w->t, dfd);
    if (!f)
        return -EBADF;
    if (f->dentry) {
        w->base = dentry_get(f->dentry);
        return 0;
    }
    if (!w->self)
        return -ENOTDIR;
    w->base = dentry_file(file_get(f));
    return w->base ? 0 : -ENOMEM;
}

int walk_begin(struct walk *w, struct task *t, int dfd, const char *path, unsigned flags)
{
    *w = (struct walk){.t = t, .ns = t->process->container->mounts, .path = path};
    if (!*path && !(flags & WALK_EMPTY))
        return -ENOENT;
    walk_skip(w);
    w->root = fs_root(t->fs);
    int r = walk_base(w, dfd);
    if (r < 0) {
        walk_end(w);
        return r;
    }
    walk_decide(w);
    return 0;
}

void walk_end(struct walk *w)
{
    dentry_put(w->root);
    dentry_put(w->base);
    w->root = w->base = NULL;
}

/* The host walks -------------------------------------------------------------------------------------------
 */

/* Splits rel at its last component. False: it has none of its own ("." and ".." are for the slow walk). */
static bool split(const char *rel, char dir[PATH_MAX], char last[258], bool *trailing)
{
    size_t end = strlen(rel), start;

    *trailing = false;
    while (end > 0 && rel[end - 1] == '/') {
        end--;
        *trailing = true;
    }
    for (start = end; start > 0 && rel[start - 1] != '/'; start--)
        ;
    size_t len = end - start;
    if (len == 0 || len > NAME_MAX || start >= PATH_MAX || path_is_dot(rel + start, len) ||
        path_is_dotdot(rel + start, len))
        return false;
    memcpy(last, rel + start, len);
    last[len] = 0;
    memcpy(dir, rel, start);
    dir[start] = 0;
    return true;
}

/* A symlink was on the way, but the host reached the directory that the last name is missing from. Mount
 * points of ours are empty directories to the host (none COVERS here), so it has passed none; if it does not
 * stand on one, that is it. */
static int missing_in_parent(struct walk *w)
{
    char dir[PATH_MAX], last[258];
    bool trailing;
    struct stat st;

    if (!split(w->rel, dir, last, &trailing) || !dir[0])
        return WALK_SLOW;
    _cleanup_close_ int fd =
        sys_openat2_raw(w->base->fd, dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, w->resolve);
    if (fd < 0 || fstat(fd, &st) != 0 || mount_maybe(w->ns, st.st_dev, st.st_ino))
        return WALK_SLOW;
    /* A link that leads nowhere on the host may lead into one of ours. */
    return fstatat(fd, last, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT ? -ENOENT : WALK_SLOW;
}

/* The host found nothing. That is the truth if it met no symlink on the way, because then only the path's
 * text could have led to a mount of ours, and walk_decide has looked at it. */
static int walk_missing(struct walk *w, int err)
{
    if (w->resolve & RESOLVE_NO_SYMLINKS)
        return -err;
    int fd = sys_openat2_raw(w->base->fd, w->rel, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0,
                             w->resolve | RESOLVE_NO_SYMLINKS);
    if (fd >= 0) {
        (void)close(fd);
        return WALK_SLOW;
    }
    if (fd == -ELOOP && err == ENOENT)
        return missing_in_parent(w);
    return fd == -ENOENT || fd == -ENOTDIR ? -err : WALK_SLOW;
}

int walk_failed(struct walk *w, int err)
{
    switch (err) {
    case ENOENT:
        return w->certain ? walk_missing(w, err) : WALK_SLOW;
    case ENOTDIR:
        return w->certain || !(w->resolve & RESOLVE_NO_SYMLINKS) ? -err : WALK_SLOW;
    case ELOOP:
        return (w->resolve & RESOLVE_NO_SYMLINKS) || w->ns->magic ? WALK_SLOW : -err;
    case EXDEV:
    case EAGAIN:
        return WALK_SLOW;
    default:
        return -err;
    }
}

/* Takes over fd, the result of a host walk; a mount point gives way to what is mounted there. */
static int found(struct walk *w, int fd, struct dentry **ret)
{
    struct dentry *d = dentry_host(w->base->mnt, fd);

    if (!d)
        return -ENOMEM;
    int r = mount_cross(w->t, w->ns, &d);
    if (r < 0) {
        dentry_put(d);
        return r;
    }
    *ret = d;
    return 0;
}

static int host_walk(struct walk *w, const char *rel, unsigned flags, struct dentry **ret)
{
    uint64_t of = O_PATH | O_CLOEXEC | (flags & WALK_FOLLOW ? 0 : O_NOFOLLOW) |
                  (flags & WALK_DIRECTORY ? O_DIRECTORY : 0);
    int fd = sys_openat2_raw(w->base->fd, rel, of, 0, w->resolve);

    return fd < 0 ? walk_failed(w, -fd) : found(w, fd, ret);
}

static int walk_self(struct walk *w, unsigned flags, struct dentry **ret)
{
    if ((flags & WALK_DIRECTORY) && dentry_type(w->base) != S_IFDIR)
        return -ENOTDIR;
    *ret = dentry_get(w->base);
    return 0;
}

int walk_lookup(struct walk *w, unsigned flags, struct dentry **ret)
{
    struct walked out = {0};
    int r = WALK_SLOW;

    vfs_assume(w->t);
    if (w->self)
        return walk_self(w, flags, ret);
    if (w->host)
        r = host_walk(w, w->rel, flags, ret);
    if (r != WALK_SLOW)
        return r;
    r = walk_slow(w, flags, &out);
    if (r == 0)
        *ret = steal_ptr(&out.child);
    walked_clear(&out);
    return r;
}

/* Where no link is met the text has told all: nothing of ours is on the way (walk_decide). WALK_SLOW: there
 * is one. */
static int straight_parent(struct walk *w, const char *dir, struct dentry **parent)
{
    int fd = dir[0] ? sys_openat2_raw(w->base->fd, dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
                                      w->resolve | RESOLVE_NO_SYMLINKS)
                    : -1;
    if (dir[0] && fd < 0)
        return fd == -ENOENT ? -ENOENT : WALK_SLOW;
    *parent = dir[0] ? dentry_host(w->base->mnt, fd) : dentry_get(w->base);
    w->straight = true;
    w->dir = strlen(dir);
    return *parent ? 0 : -ENOMEM;
}

static int host_parent(struct walk *w, struct dentry **parent, char last[258], bool *trailing)
{
    char dir[PATH_MAX];

    if (!w->certain || !split(w->rel, dir, last, trailing))
        return WALK_SLOW;
    int r = straight_parent(w, dir, parent);
    if (r != WALK_SLOW)
        return r;
    if (!dir[0]) {
        *parent = dentry_get(w->base);
        return 0;
    }
    /* Not by walk_failed's ENOENT check, which looks at the whole path. */
    int fd = sys_openat2_raw(w->base->fd, dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, w->resolve);
    if (fd == -ENOENT)
        return WALK_SLOW;
    return fd < 0 ? walk_failed(w, -fd) : found(w, fd, parent);
}

int walk_sibling(struct walk *w, const struct walk *of, struct dentry *dir, struct dentry **parent,
                 char last[258], bool *trailing)
{
    char text[PATH_MAX];

    if (!of->straight || w->base != of->base || !w->host || !w->certain ||
        !split(w->rel, text, last, trailing) || strlen(text) != of->dir ||
        memcmp(text, of->rel, of->dir) != 0)
        return WALK_SLOW;
    *parent = dentry_get(dir);
    w->straight = true;
    w->dir = of->dir;
    return 0;
}

int walk_parent(struct walk *w, struct dentry **parent, char last[258], bool *trailing)
{
    struct walked out = {0};
    int r = WALK_SLOW;

    vfs_assume(w->t);
    if (w->self) {
        strcpy(last, *w->path ? "/" : "");
        *trailing = false;
        *parent = dentry_get(w->base);
        return *w->path ? 0 : -ENOENT;
    }
    if (w->host)
        r = host_parent(w, parent, last, trailing);
    if (r != WALK_SLOW)
        return r;
    r = walk_slow(w, WALK_PARENT, &out);
    if (r == 0) {
        *parent = steal_ptr(&out.parent);
        memcpy(last, out.last, sizeof(out.last));
        *trailing = out.trailing;
    }
    walked_clear(&out);
    return r;
}

/* For everyone ---------------------------------------------------------------------------------------------
 */

int path_lookup(struct task *t, int dfd, const char *path, unsigned flags, struct dentry **ret)
{
    _cleanup_walk_ struct walk w;
    int r = walk_begin(&w, t, dfd, path, flags);

    return r < 0 ? r : walk_lookup(&w, flags, ret);
}

int path_parent(struct task *t, int dfd, const char *path, struct dentry **ret_parent, char last[256],
                bool *trailing)
{
    _cleanup_walk_ struct walk w;
    char name[258];
    int r = walk_begin(&w, t, dfd, path, 0);

    if (r < 0)
        return r;
    r = walk_parent(&w, ret_parent, name, trailing);
    if (r == 0)
        memcpy(last, name, 256);
    return r;
}
