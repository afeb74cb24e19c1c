/* Shared mounts inside a container (mount_namespaces(7)): what is mounted on one appears on its peers, which
 * are binds of it. The host takes no part. */
#include <stdio.h>
#include <sys/mount.h>

#include "sandbox/keep/fs/vfs_priv.h"

struct mount *mount_clone(struct mount_ns *ns, const struct mount *src, struct dentry *from)
{
    struct mount *m = mount_new(ns, NULL, src->fstype, src->source, src->options, src->flags);

    if (!m)
        return NULL;
    m->fs = src->fs;
    m->dev = src->dev;
    m->scratch = scratch_get(src->scratch);
    int fd = from->fd >= 0 ? fcntl(from->fd, F_DUPFD_CLOEXEC, 3) : -1;
    struct dentry *d = from->node ? dentry_pseudo(m, pnode_get(from->node))
                       : fd >= 0  ? dentry_host(m, fd)
                                  : NULL;
    if (!d) {
        mount_put(m);
        return NULL;
    }
    mount_set_root(m, d);
    return m;
}

static const char *below(const char *path, const char *top)
{
    size_t n = strcmp(top, "/") == 0 ? 0 : strlen(top);

    return strncmp(path, top, n) == 0 && (!path[n] || path[n] == '/') ? path + n : NULL;
}

/* Where in peer the place is that point has in m; false: peer does not show that part. */
static bool place_in(const struct mount *peer, const struct mount *m, const char *point, char ret[PATH_MAX])
{
    char inside[PATH_MAX];
    const char *rel = below(point, m->target), *rest;

    if (!rel || snprintf(inside, sizeof(inside), "%s%s", strcmp(m->real_root, "/") ? m->real_root : "",
                         rel) >= (int)sizeof(inside))
        return false;
    rest = below(inside, peer->real_root);
    return rest &&
           snprintf(ret, PATH_MAX, "%s%s", strcmp(peer->target, "/") ? peer->target : "", rest) < PATH_MAX;
}

static void mount_in_peer(struct task *t, struct mount_ns *ns, struct mount *m, const char *path)
{
    _cleanup_dentry_ struct dentry *point = NULL;
    char target[PATH_MAX];

    if (path_lookup(t, AT_FDCWD, path, LOOKUP_FOLLOW, &point) < 0 || !point->mnt ||
        dentry_path_abs(point, target, sizeof(target)) < 0 ||
        (dentry_type(point) == S_IFDIR) != (dentry_type(m->root) == S_IFDIR))
        return;
    struct mount *twin = mount_clone(ns, m, m->root);
    char *root = twin ? strdup(m->real_root) : NULL;
    if (root) {
        free(twin->real_root);
        twin->real_root = root;
        twin->propagation = m->propagation;
        twin->group = m->group;
        twin->origin = m->origin;
        twin->parent = mount_get(point->mnt);
        if (dentry_type(point) != S_IFDIR)
            twin->kind |= MOUNT_COVERS | MOUNT_FILE;
        else if (point->fd >= 0 && mount_dir_has_entries(point->fd))
            twin->kind |= MOUNT_COVERS;
    }
    if (twin && (!root || mount_attach(ns, twin, point, target) < 0))
        mount_put(twin);
}

void mount_propagate(struct task *t, struct mount_ns *ns, struct mount *m, struct dentry *point)
{
    struct mount *parent = mount_listed(ns, point);
    char where[PATH_MAX], path[PATH_MAX];
    unsigned n;

    if (!parent || !(parent->propagation & MS_SHARED) || dentry_path_abs(point, where, sizeof(where)) < 0)
        return;
    m->propagation |= MS_SHARED;
    m->group = m->group ? m->group : m->id;
    m->origin = m->id;
    struct mount **all = mount_snapshot(ns, &n);
    for (unsigned i = 0; i < n; i++) {
        struct mount *peer = all[i];
        if (peer != parent && peer != m && (peer->propagation & MS_SHARED) && peer->group == parent->group &&
            place_in(peer, parent, where, path))
            mount_in_peer(t, ns, m, path);
        mount_put(peer);
    }
    free(all);
}

static bool on_shared(struct mount_ns *ns, const struct mount *m, int *ret_group)
{
    const struct mount *parent = m->point ? mount_listed(ns, m->point) : NULL;

    *ret_group = parent ? parent->group : 0;
    return parent && (parent->propagation & MS_SHARED);
}

struct mount *mount_twin(struct mount_ns *ns, const struct mount *m)
{
    struct mount *hit = NULL;
    int group, other;
    unsigned n;

    if (!m->origin || !on_shared(ns, m, &group))
        return NULL;
    struct mount **all = mount_snapshot(ns, &n);
    for (unsigned i = 0; i < n; i++) {
        if (!hit && all[i] != m && all[i]->origin == m->origin && on_shared(ns, all[i], &other) &&
            other == group)
            hit = mount_get(all[i]);
        mount_put(all[i]);
    }
    free(all);
    return hit;
}
