/* The mount table of a new container, from what the runtime hands over. */
#include "sandbox/keep/fs/vfs_priv.h"

#include <stdio.h>
#include <sys/mount.h>

#include "common/log.h"
#include "sandbox/keep/pseudo/cgroup_fs.h"

/* A procfs of the host below the container's root would have magic links, which plain host calls follow. */
static bool host_procfs_below(void)
{
    char name[40];

    snprintf(name, sizeof(name), "%d/mountinfo", (int)kernel.pid);
    int fd = kernel.procfd < 0 ? -1 : openat(kernel.procfd, name, O_RDONLY | O_CLOEXEC);
    _cleanup_fclose_ FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
    if (!f) {
        if (fd >= 0)
            (void)close(fd);
        return true; /* not known: be careful */
    }
    _cleanup_free_ char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, f) > 0)
        if (strstr(line, " - proc "))
            return true;
    return false;
}

/* What only mountinfo is to tell. */
static int note_shown(struct mount *m, const struct mount_spec *spec)
{
    char *root = spec->root ? strdup(spec->root) : NULL;

    m->propagation = spec->propagation;
    m->group = spec->propagation & MS_SHARED ? m->id : 0;
    m->master = spec->master;
    if (!spec->root)
        return 0;
    free(m->real_root);
    m->real_root = root;
    return root ? 0 : -ENOMEM;
}

static int real_mount(struct mount_ns *ns, const struct mount_spec *spec)
{
    struct statx stx;
    struct mount *m = mount_new(ns, ns->main, spec->type, spec->source, spec->options, spec->flags);

    if (!m)
        return -ENOMEM;
    m->kind = MOUNT_REAL;
    if (note_shown(m, spec) < 0) {
        mount_put(m);
        return -ENOMEM;
    }
    if (statx(AT_FDCWD, spec->target, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_MNT_ID, &stx) == 0) {
        m->host_id = stx.stx_mnt_id;
        m->dev = makedev(stx.stx_dev_major, stx.stx_dev_minor);
    }
    ns->slaves |= spec->master != 0;
    int r = mount_attach(ns, m, NULL, spec->target);
    if (r < 0)
        mount_put(m);
    return r;
}

/* The mount of ours that target lies in (the longest match), and the rest of the path; main: rest is target.
 */
static struct mount *mount_around(struct mount_ns *ns, const char *target, const char **rest)
{
    struct mount *m, *hit = ns->main;
    size_t best = 0;

    *rest = target;
    DL_FOREACH(ns->mounts, m)
    {
        size_t n = strlen(m->target);
        if (m == ns->main || (m->kind & (MOUNT_REAL | MOUNT_MASK | MOUNT_SAME)) || !m->root || n < best)
            continue;
        if (strncmp(target, m->target, n) == 0 && (target[n] == 0 || target[n] == '/')) {
            hit = m;
            best = n;
            *rest = target[n] ? target + n : "/";
        }
    }
    return hit;
}

/* Makes the directories of a mount point in the container's tree; what is there already stays. */
static void make_dirs(int root, const char *target)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s", target + strspn(target, "/"));
    for (char *p = path; *p; p++) {
        if (*p != '/')
            continue;
        *p = 0;
        (void)mkdirat(root, path, 0755);
        *p = '/';
    }
    (void)mkdirat(root, path, 0755);
}

static int find_point(struct mount_ns *ns, const char *target, bool make, struct dentry **ret)
{
    _cleanup_walk_ struct walk w;

    walk_begin_at(&w, ns, ns->main->root, NULL, target);
    int r = walk_lookup(&w, WALK_FOLLOW, ret);
    if (r != -ENOENT || !make)
        return r;
    make_dirs(ns->main->root->fd, target);
    return walk_lookup(&w, WALK_FOLLOW, ret);
}

/* Puts m where target says: on a path inside one of our file systems, or on a host object. */
static int place(struct mount_ns *ns, struct mount *m, const char *target, bool make)
{
    const char *rest;
    struct mount *around = mount_around(ns, target, &rest);
    _cleanup_dentry_ struct dentry *point = NULL;
    char path[PATH_MAX];

    if (around != ns->main && around->root->node) {
        m->parent = mount_get(around);
        m->inner = strdup(rest);
        return m->inner ? mount_attach(ns, m, NULL, target) : -ENOMEM;
    }
    int r = find_point(ns, target, make, &point);
    if (r < 0)
        return r;
    m->parent = mount_get(point->mnt);
    r = dentry_path_abs(point, path, sizeof(path));
    if (r < 0)
        return r;
    if (dentry_type(point) != S_IFDIR)
        m->kind |= MOUNT_COVERS | MOUNT_FILE;
    else if (mount_dir_has_entries(point->fd))
        m->kind |= MOUNT_COVERS;
    return mount_attach(ns, m, point, path);
}

/* Without a cgroup namespace of its own the container sees where on the host its cgroups are. */
static int show_root(struct mount *m, const struct pnode *root)
{
    const char *path = cgroup_fs_path(root);

    if (!path)
        return 0;
    free(m->real_root);
    m->real_root = strdup(path);
    return m->real_root ? 0 : -ENOMEM;
}

static int pseudo_mount(struct mount_ns *ns, const struct mount_spec *spec);

/* Version 1: below the mount of "cgroup" each hierarchy has one of its own, with its controllers as options:
 * that is where programs look for them. */
static int cgroup_parts(struct mount_ns *ns, const struct pseudo_fs *fs, const struct mount_spec *spec)
{
    struct cgroup_fs_part part;
    char target[PATH_MAX], options[PATH_MAX];
    int r = 0;

    for (unsigned i = 0; r == 0 && cgroup_fs_part(ns->container, fs, i, &part); i++) {
        struct mount_spec one = *spec;
        if (!part.name[0])
            continue;
        snprintf(target, sizeof(target), "%s/%s", spec->target, part.name);
        snprintf(options, sizeof(options), "%s%s%s", spec->options, *part.option ? "," : "", part.option);
        one.target = target;
        one.type = part.type;
        one.source = "cgroup";
        one.options = options;
        r = pseudo_mount(ns, &one);
    }
    return r;
}

static int pseudo_mount(struct mount_ns *ns, const struct mount_spec *spec)
{
    const struct pseudo_fs *fs = pseudo_fs_find(ns->container, spec->type, spec->options);
    struct pnode *root = NULL;

    if (!fs) {
        log_warning("mount of %s on %s: the keep has no such file system", spec->type, spec->target);
        return 0;
    }
    struct mount *m = mount_new(ns, NULL, fs->type, spec->source, spec->options, spec->flags);
    if (!m)
        return -ENOMEM;
    m->fs = fs;
    int r = fs->mount(ns->container, spec->options, &root);
    struct dentry *d = r == 0 ? dentry_pseudo(m, root) : NULL;
    if (d) {
        mount_set_root(m, d);
        r = show_root(m, root);
        r = r < 0 ? r : place(ns, m, spec->target, true);
    } else if (r == 0) {
        r = -ENOMEM;
    }
    if (r < 0) {
        log_error("mount of %s on %s: %s", spec->type, spec->target, strerror(-r));
        mount_put(m);
        return r;
    }
    return cgroup_parts(ns, fs, spec);
}

static int main_mount(struct mount_ns *ns, int rootfd, const struct mount_spec *spec)
{
    struct mount *m = mount_new(ns, NULL, spec ? spec->type : "rootfs", spec ? spec->source : "rootfs",
                                spec ? spec->options : "rw", spec ? spec->flags : 0);
    int fd = fcntl(rootfd, F_DUPFD_CLOEXEC, 3);
    struct dentry *d = m && fd >= 0 ? dentry_host(m, fd) : NULL;

    if (!d || dentry_identity(d) < 0)
        return -ENOMEM;
    mount_set_root(m, d);
    m->dev = d->dev;
    m->host_id = d->mnt_id;
    m->propagation = spec ? spec->propagation : 0;
    m->group = m->propagation & MS_SHARED ? m->id : 0;
    m->target = strdup("/");
    ns->main = m;
    DL_APPEND(ns->mounts, m);
    return m->target ? 0 : -ENOMEM;
}

int mount_ns_init(struct container *c, int rootfd, const struct mount_spec *specs, unsigned n)
{
    struct mount_ns *ns = calloc(1, sizeof(*ns));
    int r = ns ? vfs_init() : -ENOMEM;

    if (r < 0)
        return r;
    pthread_rwlock_init(&ns->lock, NULL);
    ns->generation = atomic_fetch_add(&kernel.mount_generation, 1) + 1;
    ns->container = c;
    ns->magic = host_procfs_below();
    c->mounts = ns;
    vfs_assume_self();
    bool has_root = n > 0 && strcmp(specs[0].target, "/") == 0;
    r = main_mount(ns, rootfd, has_root ? &specs[0] : NULL);
    for (unsigned i = has_root ? 1 : 0; r == 0 && i < n; i++)
        r = specs[i].host ? real_mount(ns, &specs[i]) : pseudo_mount(ns, &specs[i]);
    return r;
}

/* Hidden and read-only paths
 * ---------------------------------------------------------------------------------- */

/* What runc binds over a masked file is the null device, over a directory an empty read-only tmpfs. */
static const struct pnode_ops mask_ops;

static int mask_lookup(struct task *t, struct pnode *dir, const char *name, struct pnode **ret)
{
    (void)t;
    (void)dir;
    (void)name;
    (void)ret;
    return -ENOENT;
}

static int mask_iterate(struct task *t, struct pnode *dir, off_t *pos, struct dir_context *ctx)
{
    (void)t;
    (void)dir;
    (void)pos;
    (void)ctx;
    return 0;
}

static const struct pnode_ops mask_ops = {.lookup = mask_lookup, .iterate = mask_iterate};
static const struct pnode_ops null_ops;

struct pnode *mask_node(bool dir)
{
    struct pnode *n =
        pnode_new(dir ? &mask_ops : &null_ops, dir ? S_IFDIR | 01777 : S_IFCHR | 0666, NULL, "");

    if (n && !dir)
        n->rdev = makedev(1, 3);
    return n;
}

/* On a host object both are mounts with a root of their own; on a pseudo node they apply when it is looked
 * up. */
static int protect_host(struct mount_ns *ns, struct mount *m, const char *path, bool mask)
{
    _cleanup_dentry_ struct dentry *point = NULL;
    int r = find_point(ns, path, false, &point);

    if (r < 0)
        return r == -ENOENT || r == -ENOTDIR ? 0 : r;
    struct pnode *n = mask ? mask_node(dentry_type(point) == S_IFDIR) : NULL;
    int fd = mask ? -1 : fcntl(point->fd, F_DUPFD_CLOEXEC, 3);
    struct dentry *root = n ? dentry_pseudo(m, n) : fd >= 0 ? dentry_host(m, fd) : NULL;
    if (!root)
        return -ENOMEM;
    mount_set_root(m, root);
    char *shown = mask ? NULL : strdup(path);
    if (shown) {
        free(m->real_root);
        m->real_root = shown;
    }
    r = place(ns, m, path, false);
    if (r < 0)
        return r;
    pthread_rwlock_wrlock(&ns->lock);
    m->kind |= MOUNT_COVERS | (dentry_type(point) == S_IFDIR ? 0 : MOUNT_FILE);
    atomic_store(&ns->covering, true);
    pthread_rwlock_unlock(&ns->lock);
    return 1;
}

/* Names in the keep's own file systems that are there from the start: links are not followed. */
static bool exists_below(struct pnode *root, const char *path)
{
    char copy[PATH_MAX], *save;
    struct pnode *at = pnode_get(root);

    (void)snprintf(copy, sizeof(copy), "%s", path);
    for (char *name = strtok_r(copy, "/", &save); at && name; name = strtok_r(NULL, "/", &save)) {
        struct pnode *next = NULL;
        if (!at->ops->lookup || at->ops->lookup(NULL, at, name, &next) < 0)
            next = NULL;
        pnode_put(at);
        at = next;
    }
    bool found = at;
    pnode_put(at);
    return found;
}

static int protect(struct mount_ns *ns, const char *path, bool mask)
{
    const char *rest;
    struct mount *around = mount_around(ns, path, &rest);
    struct mount *m = mount_new(ns, NULL, mask ? "tmpfs" : around->fstype, mask ? "tmpfs" : around->source,
                                "ro", MS_RDONLY);
    int r;

    if (!m)
        return -ENOMEM;
    if (around != ns->main && around->root->node && !exists_below(around->root->node, rest)) {
        mount_put(m);
        return 0;
    }
    if (around != ns->main && around->root->node) {
        m->kind |= mask ? MOUNT_MASK : MOUNT_SAME;
        m->fs = around->fs;
        m->dev = mask ? m->dev : around->dev;
        r = place(ns, m, path, false);
    } else {
        r = protect_host(ns, m, path, mask);
    }
    if (r <= 0 && !m->target)
        mount_put(m);
    return r < 0 ? r : 0;
}

int mount_ns_protect(struct container *c, char *const *masked, char *const *readonly)
{
    int r = 0;

    vfs_assume_self();
    for (unsigned i = 0; r == 0 && readonly && readonly[i]; i++)
        r = protect(c->mounts, readonly[i], false);
    for (unsigned i = 0; r == 0 && masked && masked[i]; i++)
        r = protect(c->mounts, masked[i], true);
    return r;
}
