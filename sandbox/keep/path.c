/* Path walking. Most paths are walked by the host in one call. The others, that may touch one of the keep's
 * own file systems, are walked here by components. */
#include "sandbox/keep/vfs_priv.h"

#include <stdio.h>
#include <sys/syscall.h>

#define MAX_LINKS 40

/* What the text of a path says -----------------------------------------------------------------------------
 */

static const char *component(const char *p, size_t *len)
{
    while (*p == '/')
        p++;
    *len = strcspn(p, "/");
    return p;
}

static bool is_dot(const char *p, size_t len)
{
    return len == 1 && p[0] == '.';
}

static bool is_dotdot(const char *p, size_t len)
{
    return len == 2 && p[0] == '.' && p[1] == '.';
}

bool path_climbs(const char *rel)
{
    size_t len;
    long depth = 0;

    for (const char *p = component(rel, &len); len != 0; p = component(p + len, &len)) {
        if (is_dotdot(p, len)) {
            if (--depth < 0)
                return true;
        } else if (!is_dot(p, len)) {
            depth++;
        }
    }
    return false;
}

bool path_touches(const char *path, const char *target)
{
    char at[PATH_MAX];
    size_t n = 0, len, tlen = strlen(target);

    for (const char *p = component(path, &len); len != 0; p = component(p + len, &len)) {
        if (is_dot(p, len))
            continue;
        if (is_dotdot(p, len)) {
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
    if (len == 0 || len > NAME_MAX || start >= PATH_MAX || is_dot(rel + start, len) ||
        is_dotdot(rel + start, len))
        return false;
    memcpy(last, rel + start, len);
    last[len] = 0;
    memcpy(dir, rel, start);
    dir[start] = 0;
    return true;
}

static int host_parent(struct walk *w, struct dentry **parent, char last[258], bool *trailing)
{
    char dir[PATH_MAX];

    if (!w->certain || !split(w->rel, dir, last, trailing))
        return WALK_SLOW;
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

/* The walk by components ------------------------------------------------------------------------------------
 */

struct slow {
    struct walk *w;
    unsigned flags;
    struct dentry *cur; /* a reference */
    char *text;         /* what is still to be walked: p points into it */
    const char *p;
    int links;
};

void walked_clear(struct walked *out)
{
    dentry_put(out->parent);
    dentry_put(out->child);
    out->parent = out->child = NULL;
}

static void slow_move(struct slow *s, struct dentry *to)
{
    dentry_put(s->cur);
    s->cur = to;
}

/* One step down by name: *ret is what stands there, mounts crossed. */
static int step_host(struct slow *s, const char *name, struct dentry **ret)
{
    int fd = openat(s->cur->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    *ret = dentry_host(s->cur->mnt, fd);
    return *ret ? 0 : -ENOMEM;
}

static int step_pseudo(struct slow *s, const char *name, struct dentry **ret)
{
    struct pnode *dir = s->cur->node, *n = NULL;

    if (!S_ISDIR(dir->mode) || !dir->ops->lookup)
        return -ENOTDIR;
    int r = pseudo_access(s->w->t, dir, X_OK, false);
    if (r < 0)
        return r;
    struct mount *m = mount_on_pseudo(s->w->ns, s->cur, name);
    if (m && m->root) {
        *ret = dentry_get(m->root);
        mount_put(m);
        return 0;
    }
    r = dir->ops->lookup(s->w->t, dir, name, &n);
    if (r == 0 && m && (m->kind & MOUNT_MASK)) {
        bool is_dir = S_ISDIR(n->mode);
        pnode_put(n);
        n = mask_node(is_dir);
    }
    if (r == 0)
        *ret = n ? dentry_pseudo(m ? m : s->cur->mnt, n) : NULL;
    mount_put(m);
    return r < 0 ? r : *ret ? 0 : -ENOMEM;
}

static int step(struct slow *s, const char *name, struct dentry **ret)
{
    struct dentry *d = NULL;
    int r = s->cur->node ? step_pseudo(s, name, &d) : s->cur->fd >= 0 ? step_host(s, name, &d) : -ENOTDIR;

    if (r < 0)
        return r;
    r = mount_cross(s->w->t, s->w->ns, &d);
    if (r < 0) {
        dentry_put(d);
        return r;
    }
    *ret = d;
    return 0;
}

/* One step up within the mount that cur is in (cur is not its root). */
static int up_inside(struct slow *s, struct dentry **ret)
{
    struct dentry *cur = s->cur;

    if (cur->node) {
        int r = S_ISDIR(cur->node->mode) ? pseudo_access(s->w->t, cur->node, X_OK, false) : -ENOTDIR;
        if (r < 0)
            return r;
        *ret = dentry_pseudo(cur->mnt, pnode_get(cur->node->parent));
        return *ret ? 0 : -ENOMEM;
    }
    if (cur->fd < 0)
        return -ENOTDIR;
    int r = step_host(s, "..", ret);
    /* A directory that was moved out of the mount it was reached by has no root above it to stop at: then the
     * area where guests' file systems lie is the end. */
    if (r == 0 && cur->mnt != s->w->ns->main && mount_is_scratch(*ret)) {
        dentry_put(*ret);
        *ret = NULL;
        r = -ENOENT;
    }
    return r;
}

/* For the node of a MOUNT_SAME or MOUNT_MASK mount: is it what the mount covers? */
static bool at_inner(const struct dentry *d)
{
    char path[PATH_MAX];

    if (d->mnt->kind & MOUNT_MASK)
        return true;
    return pseudo_path(d->node, path, sizeof(path)) >= 0 && strcmp(path, d->mnt->inner) == 0;
}

static int step_up(struct slow *s)
{
    struct dentry *up = NULL;

    for (;;) {
        struct mount *m = s->cur->mnt;
        if (dentry_same(s->cur, s->w->root))
            return 0;
        if (m && s->cur->node && (m->kind & MOUNT_SAME) && at_inner(s->cur)) {
            struct dentry *d = dentry_pseudo(m->parent, pnode_get(s->cur->node));
            if (!d)
                return -ENOMEM;
            slow_move(s, d);
            continue;
        }
        if (!m || m == s->w->ns->main || !m->root || !dentry_same(s->cur, m->root))
            break;
        up = mount_leave(s->w->t, m);
        if (!up)
            return 0;
        slow_move(s, up);
    }
    int r = up_inside(s, &up);
    if (r == 0)
        r = mount_cross(s->w->t, s->w->ns, &up);
    if (r < 0) {
        dentry_put(up);
        return r;
    }
    slow_move(s, up);
    return 0;
}

/* A magic link leads to its object without a walk; one to a nameless file, to that file. */
static int follow_magic(struct slow *s, struct dentry *link, bool *done)
{
    const struct pnode_ops *ops = link->node ? link->node->ops : NULL;
    struct dentry *d = NULL;
    int r = -ENXIO;

    *done = ops && (ops->follow || ops->open_link);
    if (!*done)
        return 0;
    if (ops->follow)
        r = ops->follow(s->w->t, link->node, &d);
    if (r == -ENXIO && ops->open_link) {
        struct file *f = NULL;
        r = ops->open_link(s->w->t, link->node, O_PATH, &f);
        if (r == 0) {
            d = dentry_file(f);
            r = d ? 0 : -ENOMEM;
        }
    }
    if (r == 0)
        slow_move(s, d);
    return r;
}

static int follow_text(struct slow *s, struct dentry *link, const char *rest)
{
    char text[PATH_MAX];
    ssize_t n;

    if (link->node)
        n = link->node->ops->readlink ? link->node->ops->readlink(s->w->t, link->node, text, sizeof(text))
                                      : -EINVAL;
    else if ((n = readlinkat(link->fd, "", text, sizeof(text) - 1)) < 0)
        n = -errno;
    if (n < 0)
        return (int)n;
    if (n == 0)
        return -ENOENT;
    text[n < (ssize_t)sizeof(text) ? n : (ssize_t)sizeof(text) - 1] = 0;
    char *whole = NULL;
    if (asprintf(&whole, "%s%s", text, rest) < 0)
        return -ENOMEM;
    free(s->text);
    s->text = whole;
    s->p = whole;
    if (whole[0] == '/')
        slow_move(s, dentry_get(s->w->root));
    return 0;
}

/* The symlink `link` stands at the next component, which ends at rest. */
static int follow_link(struct slow *s, struct dentry *link, const char *rest)
{
    bool done;

    if (++s->links > MAX_LINKS)
        return -ELOOP;
    int r = follow_magic(s, link, &done);
    if (r < 0)
        return r;
    if (!done)
        return follow_text(s, link, rest);
    s->p = rest;
    return 0;
}

static int finish_last(struct slow *s, struct walked *out, const char *name, size_t len, bool trailing)
{
    memcpy(out->last, name, len);
    out->last[len] = 0;
    out->trailing = trailing;
    out->parent = dentry_get(s->cur);
    return dentry_type(s->cur) == S_IFDIR ? 1 : -ENOTDIR;
}

/* Walks one component. 1: the walk ended with *out filled; 0: go on. */
static int slow_one(struct slow *s, struct walked *out)
{
    size_t len, more;
    const char *name = component(s->p, &len);
    const char *rest = name + len;
    (void)component(rest, &more);
    bool last = more == 0, trailing = last && *rest == '/';
    char buf[NAME_MAX + 1];

    if (len > NAME_MAX)
        return -ENAMETOOLONG;
    if (last && (s->flags & WALK_PARENT))
        return finish_last(s, out, name, len, trailing);
    s->p = rest;
    if (is_dot(name, len))
        return dentry_type(s->cur) == S_IFDIR ? 0 : -ENOTDIR;
    if (is_dotdot(name, len))
        return step_up(s);
    memcpy(buf, name, len);
    buf[len] = 0;
    struct dentry *next = NULL;
    int r = step(s, buf, &next);
    if (r == -ENOENT && last && (s->flags & WALK_CREATE))
        return finish_last(s, out, name, len, trailing);
    if (r < 0)
        return r;
    if (trailing)
        s->flags |= WALK_DIRECTORY;
    if (dentry_type(next) == S_IFLNK && (!last || trailing || (s->flags & WALK_FOLLOW))) {
        bool magic = next->node && (next->node->ops->follow || next->node->ops->open_link);
        if (!(last && magic && !trailing && (s->flags & WALK_MAGIC))) {
            r = follow_link(s, next, rest);
            dentry_put(next);
            return r;
        }
    }
    slow_move(s, next);
    return 0;
}

int walk_slow(struct walk *w, unsigned flags, struct walked *out)
{
    struct slow s = {.w = w, .flags = flags, .cur = dentry_get(w->base), .text = strdup(w->rel)};
    size_t len;
    int r = s.text ? 0 : -ENOMEM;

    vfs_assume(w->t);
    s.p = s.text;
    while (r == 0 && (component(s.p, &len), len != 0))
        r = slow_one(&s, out);
    if (r == 0 && (flags & WALK_PARENT)) {
        /* Only "/" (or a link's "/") is left without a last component. */
        strcpy(out->last, "/");
        out->parent = dentry_get(s.cur);
    } else if (r == 0 && (s.flags & WALK_DIRECTORY) && dentry_type(s.cur) != S_IFDIR) {
        r = -ENOTDIR;
    } else if (r == 0) {
        out->child = dentry_get(s.cur);
    }
    dentry_put(s.cur);
    free(s.text);
    if (r < 0)
        walked_clear(out);
    return r < 0 ? r : 0;
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
