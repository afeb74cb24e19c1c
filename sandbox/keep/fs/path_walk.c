/* The walk by components: across the keep's own file systems, mounts and symlinks of both kinds. */
#include "sandbox/keep/fs/vfs_priv.h"

#include <stdio.h>

#define MAX_LINKS 40

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

/* Whether names in cur may be looked up. */
static int may_search(struct slow *s)
{
    struct dentry *cur = s->cur;

    if (cur->node)
        return S_ISDIR(cur->node->mode) ? pseudo_access(s->w->t, cur->node, X_OK, false) : -ENOTDIR;
    int fd = cur->fd < 0 ? -ENOTDIR : sys_openat2_raw(cur->fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0);
    if (fd < 0)
        return fd;
    (void)close(fd);
    return 0;
}

/* "..", of a directory that a mount covers: nothing is looked up there, so that no right to is needed. */
static int up_from_covered(struct slow *s, struct dentry **ret)
{
    vfs_assume_self();
    int r = step_host(s, "..", ret);
    vfs_assume(s->w->t);
    return r;
}

/* One step up within the mount that cur is in (cur is not its root). */
static int up_inside(struct slow *s, bool covered, struct dentry **ret)
{
    struct dentry *cur = s->cur;

    if (cur->node) {
        int r = covered ? 0 : may_search(s);
        if (r < 0)
            return r;
        *ret = dentry_pseudo(cur->mnt, pnode_get(cur->node->parent));
        return *ret ? 0 : -ENOMEM;
    }
    if (cur->fd < 0)
        return -ENOTDIR;
    int r = covered ? up_from_covered(s, ret) : step_host(s, "..", ret);
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
    struct dentry *up = NULL, *on;
    bool covered = false;
    int r;

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
        if (!covered && (r = may_search(s)) < 0)
            return r;
        on = mount_leave(s->w->t, m);
        if (!on)
            return 0;
        slow_move(s, on);
        covered = true;
    }
    r = up_inside(s, covered, &up);
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
    const char *name = path_component(s->p, &len);
    const char *rest = name + len;
    (void)path_component(rest, &more);
    bool last = more == 0, trailing = last && *rest == '/';
    char buf[NAME_MAX + 1];

    if (len > NAME_MAX)
        return -ENAMETOOLONG;
    if (last && (s->flags & WALK_PARENT))
        return finish_last(s, out, name, len, trailing);
    s->p = rest;
    if (path_is_dot(name, len))
        return dentry_type(s->cur) == S_IFDIR ? 0 : -ENOTDIR;
    if (path_is_dotdot(name, len))
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
        if ((s->w->refuse & RESOLVE_NO_SYMLINKS) || (magic && (s->w->refuse & RESOLVE_NO_MAGICLINKS))) {
            dentry_put(next);
            return -ELOOP;
        }
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
    while (r == 0 && (path_component(s.p, &len), len != 0))
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
