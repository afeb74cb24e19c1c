/* mount(2) and umount2(2) for guests that have CAP_SYS_ADMIN. All of it happens in the keep's own table. */
#include <linux/capability.h>
#include <linux/mount.h>
#include <stdio.h>
#include <sys/mount.h>

#include "sandbox/keep/lanes/kept.h"
#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/fs/vfs_priv.h"

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

#define MAX_MOUNTS 1000 /* of a container: a guest must not eat the keep's memory */
#define MAX_BELOW 64    /* mounts that come along in a recursive bind */
#define PROPAGATION (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)
#define KEPT_FLAGS                                                                                           \
    (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME)

struct request {
    struct task *t;
    struct mount_ns *ns;
    char *source, *target, *type, *data;
    unsigned long flags;
};

static bool table_full(struct mount_ns *ns)
{
    struct mount *m;
    unsigned n = 0;

    pthread_rwlock_rdlock(&ns->lock);
    DL_COUNT(ns->mounts, m, n);
    pthread_rwlock_unlock(&ns->lock);
    return n >= MAX_MOUNTS;
}

/* Puts m, whose root is set, on point; m goes on failure. */
static int attach_at(const struct request *q, struct mount *m, struct dentry *point)
{
    struct mount_ns *ns = q->ns;
    char path[PATH_MAX];
    int r = dentry_path_abs(point, path, sizeof(path));

    if (r >= 0 && (dentry_type(point) == S_IFDIR) != (dentry_type(m->root) == S_IFDIR))
        r = -ENOTDIR;
    if (r >= 0 && table_full(ns))
        r = -ENOSPC;
    if (r >= 0) {
        m->parent = mount_get(point->mnt);
        if (dentry_type(point) != S_IFDIR)
            m->kind |= MOUNT_COVERS | MOUNT_FILE;
        else if (point->fd >= 0 && mount_dir_has_entries(point->fd))
            m->kind |= MOUNT_COVERS;
        r = mount_attach(ns, m, point, path);
    }
    if (r < 0)
        mount_put(m);
    else
        mount_propagate(q->t, ns, m, point);
    return r < 0 ? r : 0;
}

/* Fresh file systems
 * ----------------------------------------------------------------------------------------- */

static unsigned long option(const char *data, const char *name, int base, unsigned long otherwise)
{
    size_t n = strlen(name);

    for (const char *p = data; p && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strncmp(p, name, n) == 0 && p[n] == '=')
            return strtoul(p + n + 1, NULL, base);
    return otherwise;
}

/* A tmpfs is a fresh directory of the scratch area. Its size is the area's: size= is not kept apart. */
static int tmpfs_root(struct request *q, struct mount *m)
{
    if (kernel.scratch_fd < 0)
        return -ENODEV;
    m->scratch = scratch_new();
    if (!m->scratch)
        return -errno;
    int fd = openat(kernel.scratch_fd, m->scratch->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    uid_t uid = (uid_t)option(q->data, "uid", 10, q->t->cred->fsuid);
    gid_t gid = (gid_t)option(q->data, "gid", 10, q->t->cred->fsgid);
    if (fchown(fd, uid, gid) != 0 || fchmod(fd, (mode_t)option(q->data, "mode", 8, 01777) & 07777) != 0) {
        int r = -errno;
        (void)close(fd);
        return r;
    }
    struct dentry *d = dentry_host(m, fd);
    if (!d)
        return -ENOMEM;
    mount_set_root(m, d);
    return 0;
}

static int pseudo_root(struct request *q, struct mount *m)
{
    const struct pseudo_fs *fs = pseudo_fs_find(q->ns->container, q->type, q->data);
    struct pnode *root = NULL;

    if (!fs)
        return -ENODEV;
    int r = fs->mount(q->ns->container, q->data, &root);
    if (r < 0)
        return r;
    m->fs = fs;
    struct dentry *d = dentry_pseudo(m, root);
    if (!d)
        return -ENOMEM;
    mount_set_root(m, d);
    return 0;
}

static int mount_fresh(struct request *q, struct dentry *point)
{
    bool tmpfs = strcmp(q->type, "tmpfs") == 0 || strcmp(q->type, "ramfs") == 0;
    struct mount *m = mount_new(q->ns, NULL, q->type, q->source, q->data, q->flags & KEPT_FLAGS);

    if (!m)
        return -ENOMEM;
    int r = tmpfs ? tmpfs_root(q, m) : pseudo_root(q, m);
    if (r < 0) {
        mount_put(m);
        return r;
    }
    return attach_at(q, m, point);
}

/* Bind
 * ----------------------------------------------------------------------------------------------------------
 */

/* A bind of a shared mount is its peer. */
static void take_peers(struct mount *m, const struct mount *src)
{
    m->propagation = src->propagation & MS_SHARED;
    m->group = src->group;
    m->master = src->master;
}

static int bind_one(struct request *q, struct dentry *from, struct dentry *point)
{
    const struct mount *src = from->mnt;

    if (!src || (mount_listed(q->ns, from)->propagation & MS_UNBINDABLE))
        return -EINVAL;
    struct mount *m = mount_clone(q->ns, src, from);
    if (!m)
        return -ENOMEM;
    take_peers(m, mount_listed(q->ns, from));
    char path[PATH_MAX];
    size_t n = src->parent ? strlen(src->target) : 0;
    if (dentry_path_abs(from, path, sizeof(path)) >= 0 && strlen(path) > n) {
        free(m->real_root);
        m->real_root = strdup(path + n);
    }
    if (!m->real_root) {
        mount_put(m);
        return -ENOMEM;
    }
    return attach_at(q, m, point);
}

/* The roots of the mounts below path, and where they are relative to it. */
struct below {
    struct dentry *root;
    char rel[PATH_MAX];
};

static unsigned list_below(struct mount_ns *ns, const char *path, struct below *out, unsigned max)
{
    size_t n = strcmp(path, "/") == 0 ? 0 : strlen(path);
    struct mount *m;
    unsigned count = 0;

    pthread_rwlock_rdlock(&ns->lock);
    DL_FOREACH(ns->mounts, m)
    {
        if (m == ns->main || !m->root || count == max || (m->propagation & MS_UNBINDABLE) ||
            strncmp(m->target, path, n) != 0 || m->target[n] != '/')
            continue;
        out[count].root = dentry_get(m->root);
        snprintf(out[count].rel, sizeof(out[count].rel), "%s", m->target + n + 1);
        count++;
    }
    pthread_rwlock_unlock(&ns->lock);
    return count;
}

/* Real mounts below the source come along by themselves (they are part of the host's tree); ours are bound
 * one by one. What can not be bound is left out, as unbindable mounts are. */
static void bind_below(struct request *q, const struct below *list, unsigned n)
{
    char at[2 * PATH_MAX];

    for (unsigned i = 0; i < n; i++) {
        _cleanup_dentry_ struct dentry *point = NULL;
        snprintf(at, sizeof(at), "%s/%s", q->target, list[i].rel);
        if (strlen(at) < PATH_MAX && path_lookup(q->t, AT_FDCWD, at, LOOKUP_FOLLOW, &point) == 0)
            (void)bind_one(q, list[i].root, point);
    }
}

static int bind_tree(struct request *q, struct dentry *from, struct dentry *point)
{
    char path[PATH_MAX];
    _cleanup_free_ struct below *list = calloc(MAX_BELOW, sizeof(*list));
    int r = list ? dentry_path_abs(from, path, sizeof(path)) : -ENOMEM;

    if (r < 0)
        return r;
    unsigned n = list_below(q->ns, path, list, MAX_BELOW); /* before the bind itself may be among them */
    r = bind_one(q, from, point);
    if (r == 0)
        bind_below(q, list, n);
    for (unsigned i = 0; i < n; i++)
        dentry_put(list[i].root);
    return r;
}

static int mount_bind(struct request *q, struct dentry *point)
{
    _cleanup_dentry_ struct dentry *from = NULL;

    if (!q->source || !*q->source)
        return -EINVAL;
    int r = path_lookup(q->t, AT_FDCWD, q->source, LOOKUP_FOLLOW, &from);
    if (r < 0)
        return r;
    return q->flags & MS_REC ? bind_tree(q, from, point) : bind_one(q, from, point);
}

/* Changing what is there
 * ------------------------------------------------------------------------------------------ */

static void propagate_as(struct mount *m, unsigned long flags)
{
    if ((flags & MS_SHARED) && !(m->propagation & MS_SHARED))
        m->group = m->id; /* a group of its own, so far */
    m->propagation = flags & (MS_SHARED | MS_UNBINDABLE);
    if (!m->propagation)
        m->group = 0;
    if (flags & MS_PRIVATE)
        m->master = 0;
}

/* lock held. A mount is in one state: shared, unbindable, or neither; what its master is, stays. */
static void set_propagation(struct mount_ns *ns, struct mount *m, unsigned long flags)
{
    size_t n = strcmp(m->target, "/") == 0 ? 0 : strlen(m->target);
    struct mount *below;

    propagate_as(m, flags);
    if (!(flags & MS_REC))
        return;
    DL_FOREACH(ns->mounts, below)
    if (below != m && strncmp(below->target, m->target, n) == 0 && below->target[n] == '/') {
        propagate_as(below, flags);
    }
}

/* The mount whose root that is, or NULL; one of the host's among ours (a real one) too. */
static struct mount *mount_rooted_at(struct mount_ns *ns, struct dentry *d)
{
    char path[PATH_MAX];
    struct mount *m = mount_listed(ns, d);

    if (m == d->mnt)
        return m && m->root && dentry_same(d, m->root) ? m : NULL;
    return dentry_path_abs(d, path, sizeof(path)) >= 0 && strcmp(path, m->target) == 0 ? m : NULL;
}

static int mount_change(struct request *q, struct dentry *point)
{
    struct mount *m = mount_rooted_at(q->ns, point);

    if (!m)
        return point->mnt == q->ns->main && dentry_type(point) == S_IFDIR ? 0 : -EINVAL;
    bool given = m == q->ns->main || (m->kind & MOUNT_REAL);
    pthread_rwlock_wrlock(&q->ns->lock);
    if (q->flags & PROPAGATION)
        set_propagation(q->ns, m, q->flags);
    else if (!given)
        m->flags = (m->flags & ~(unsigned long)KEPT_FLAGS) | (q->flags & KEPT_FLAGS);
    pthread_rwlock_unlock(&q->ns->lock);
    /* What the runtime made can not be changed by the keep: only what asks for no change is true. */
    bool refused = given && !(q->flags & PROPAGATION) && ((q->flags ^ m->flags) & MS_RDONLY);
    return refused ? -EPERM : 0;
}

static int do_mount(struct request *q)
{
    _cleanup_dentry_ struct dentry *point = NULL;
    int r = path_lookup(q->t, AT_FDCWD, q->target, LOOKUP_FOLLOW, &point);

    if (r < 0)
        return r;
    if (!capable(q->t, CAP_SYS_ADMIN))
        return -EPERM;
    if (!point->mnt || point->file)
        return -EINVAL;
    if (q->flags & (MS_REMOUNT | PROPAGATION))
        return mount_change(q, point);
    if (q->flags & MS_BIND)
        return mount_bind(q, point);
    if (q->flags & MS_MOVE)
        return -EINVAL;
    return q->type ? mount_fresh(q, point) : -EINVAL;
}

/* NULL stays NULL. *ret is allocated. */
static int string_from_user(struct task *t, uaddr_t from, char **ret)
{
    char buf[PATH_MAX];

    if (!from)
        return 0;
    long n = strncpy_from_user(t, buf, from, sizeof(buf));
    if (n < 0)
        return n == -ENAMETOOLONG ? -EINVAL : (int)n;
    *ret = strdup(buf);
    return *ret ? 0 : -ENOMEM;
}

long sys_mount(struct task *t, const struct sysargs *a)
{
    _cleanup_free_ char *source = NULL;
    _cleanup_free_ char *target = NULL;
    _cleanup_free_ char *type = NULL;
    _cleanup_free_ char *data = NULL;
    unsigned long flags = a->arg[3];

    if ((flags & MS_MGC_MSK) == MS_MGC_VAL)
        flags &= ~(unsigned long)MS_MGC_MSK;
    bool reads_data = !(flags & (MS_BIND | MS_MOVE | PROPAGATION));
    int r = string_from_user(t, a->arg[2], &type);
    if (r == 0)
        r = string_from_user(t, a->arg[0], &source);
    if (r == 0)
        r = a->arg[1] ? string_from_user(t, a->arg[1], &target) : -EFAULT;
    if (r == 0 && reads_data)
        r = string_from_user(t, a->arg[4], &data);
    if (r < 0)
        return r;
    struct request q = {t, t->process->container->mounts, source, target, type, data, flags};
    r = do_mount(&q);
    kept_settle(); /* what a path led to */
    return r;
}

/* umount
 * -----------------------------------------------------------------------------------------------------------
 */

/* A mount that stands on m, or NULL. A reference. */
static struct mount *child_of(struct mount_ns *ns, const struct mount *m)
{
    struct mount *c, *hit = NULL;

    pthread_rwlock_rdlock(&ns->lock);
    DL_FOREACH(ns->mounts, c)
    if (c->parent == m && !(c->kind & MOUNT_REAL))
        hit = c;
    if (hit)
        mount_get(hit);
    pthread_rwlock_unlock(&ns->lock);
    return hit;
}

/* Takes m's reference. Detaches m and all that stands on it, topmost first. */
static void detach_tree(struct mount_ns *ns, struct mount *m)
{
    struct mount *c;

    while ((c = child_of(ns, m)) != NULL) {
        struct mount *next;
        while ((next = child_of(ns, c)) != NULL) {
            mount_put(c);
            c = next;
        }
        mount_detach(ns, c);
        mount_put(c);
    }
    mount_detach(ns, m);
    mount_put(m);
}

static int do_umount(struct mount_ns *ns, struct dentry *d, int flags)
{
    struct mount *m = d->mnt;

    if (!m || !m->root || m == ns->main || !dentry_same(d, m->root))
        return -EINVAL;
    struct mount *child = child_of(ns, m);
    mount_put(child);
    /* One reference is the table's; the root has its own and the caller's. */
    bool busy = child || atomic_load(&m->refs) > 1 || atomic_load(&m->root->refs) > 2;
    if (busy && !(flags & MNT_DETACH))
        return -EBUSY;
    if (flags & MNT_EXPIRE)
        return -EAGAIN;
    struct mount *twin;
    while ((twin = mount_twin(ns, m)) != NULL)
        detach_tree(ns, twin);
    detach_tree(ns, mount_get(m));
    return 0;
}

long sys_umount2(struct task *t, const struct sysargs *a)
{
    struct mount_ns *ns = t->process->container->mounts;
    int flags = (int)a->arg[1];
    char path[PATH_MAX];
    struct dentry *d = NULL;

    if (flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW))
        return -EINVAL;
    long r = path_from_user(t, path, a->arg[0]);
    if (r >= 0)
        r = path_lookup(t, AT_FDCWD, path, flags & UMOUNT_NOFOLLOW ? 0 : LOOKUP_FOLLOW, &d);
    if (r < 0)
        return r;
    if (!capable(t, CAP_SYS_ADMIN)) {
        dentry_put(d);
        return -EPERM;
    }
    later_settle();
    pthread_mutex_lock(&kernel.vfs->umount_lock);
    mount_collect(ns);
    r = do_umount(ns, d, flags);
    pthread_mutex_unlock(&kernel.vfs->umount_lock);
    dentry_put(d);
    mount_collect(ns);
    return r;
}
