/* The mount table. Real mounts are the host's affair: all of them together are "main", one tree that the host
 * walks. The others (the keep's own file systems, what guests mount, hidden and read-only paths) stand on an
 * object of the host, told by its identity, or on a pseudo node, told by its path. */
#include "sandbox/keep/fs/vfs_priv.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#define MAX_DEPTH 256

struct mount *mount_get(struct mount *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

void mount_put(struct mount *m)
{
    while (m && atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1) {
        struct mount *parent = m->parent;
        dentry_put(m->root);
        dentry_put(m->point);
        scratch_put(m->scratch);
        free(m->inner);
        free(m->above);
        free(m->target);
        free(m->fstype);
        free(m->source);
        free(m->options);
        free(m->real_root);
        free(m->host_prefix);
        free(m);
        m = parent;
    }
}

static char *copy(const char *s)
{
    return strdup(s ? s : "");
}

struct mount *mount_new(struct mount_ns *ns, struct mount *parent, const char *fstype, const char *source,
                        const char *options, unsigned long flags)
{
    struct mount *m = calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    m->refs = 1;
    m->parent = parent ? mount_get(parent) : NULL;
    m->fstype = copy(fstype);
    m->source = copy(source && *source ? source : "none");
    m->options = copy(options);
    m->real_root = copy("/");
    m->flags = flags;
    if (!m->fstype || !m->source || !m->options || !m->real_root) {
        mount_put(m);
        return NULL;
    }
    pthread_rwlock_wrlock(&ns->lock);
    m->id = FIRST_MOUNT_ID + ns->next_id++;
    m->dev = makedev(0, 512 + (unsigned)ns->next_minor++);
    pthread_rwlock_unlock(&ns->lock);
    return m;
}

void mount_set_root(struct mount *m, struct dentry *d)
{
    /* The root is part of the mount: a counted reference back would keep both alive for ever. */
    if (d->mnt)
        mount_put(d->mnt);
    d->mnt = m;
    d->is_root = true;
    m->root = d;
}

/* Where a mount stands --------------------------------------------------------------------------------------
 */

static int note_identity(int fd, struct host_id *id)
{
    struct statx stx;

    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO | STATX_MNT_ID, &stx) != 0)
        return -errno;
    *id = (struct host_id){makedev(stx.stx_dev_major, stx.stx_dev_minor), stx.stx_ino, stx.stx_mnt_id};
    return 0;
}

static bool same_id(const struct host_id *a, const struct host_id *b)
{
    return a->ino == b->ino && a->dev == b->dev && a->mnt_id == b->mnt_id;
}

/* The directory of a file in main. A file has no "..": its path tells. */
static int above_file(const struct dentry *d)
{
    char name[40], path[PATH_MAX];

    dentry_procname(d, name);
    ssize_t len = readlinkat(kernel.procfd, name, path, sizeof(path) - 1);
    if (len <= 0 || path[0] != '/')
        return -1;
    path[len] = 0;
    *(strrchr(path, '/') + 1) = 0;
    return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Collects the directories above a mount point, so that "is there a mount below" needs no walk later. */
static int note_above(struct mount *m)
{
    struct host_id ids[MAX_DEPTH], top;
    unsigned n = 0;
    _cleanup_close_ int fd = -1;

    if (S_ISDIR(dentry_type(m->point))) {
        fd = openat(m->point->fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    } else if (!m->parent->parent) {
        fd = above_file(m->point);
    } else {
        m->above_any = true;
        return 0;
    }
    if (fd < 0 || note_identity(m->parent->root->fd, &top) != 0)
        return -EINVAL;
    for (; n < MAX_DEPTH && note_identity(fd, &ids[n]) == 0; n++) {
        if (same_id(&ids[n], &top) || (n > 0 && same_id(&ids[n], &ids[n - 1]))) {
            n++;
            break;
        }
        int up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (up < 0)
            return -errno;
        (void)close(fd);
        fd = up;
    }
    m->above = malloc(n * sizeof(*ids) + 1);
    if (!m->above)
        return -ENOMEM;
    memcpy(m->above, ids, n * sizeof(*ids));
    m->nabove = n;
    return 0;
}

/* A directory above it can be renamed: one that is not itself the root of a mount. */
static bool may_move(const struct mount *m)
{
    for (unsigned i = 0; i + 1 < m->nabove; i++)
        if (m->above[i].mnt_id == m->above[i + 1].mnt_id && !same_id(&m->above[i], &m->above[i + 1]))
            return true;
    return m->above_any;
}

/* Under the write lock: what the walks ask for cheaply. */
static void table_changed(struct mount_ns *ns)
{
    struct mount *m;
    bool covering = false, deep = false;

    DL_FOREACH(ns->mounts, m)
    {
        covering |= (m->kind & MOUNT_COVERS) != 0;
        deep |= may_move(m);
    }
    atomic_store(&ns->covering, covering);
    atomic_store(&ns->deep, deep);
    /* One count for all tables: a descriptor may go from one container to another. */
    atomic_store(&ns->generation, atomic_fetch_add(&kernel.mount_generation, 1) + 1);
}

static int note_place(struct mount *m, struct dentry *point)
{
    char path[PATH_MAX];

    if (!point)
        return 0;
    m->point = dentry_get(point);
    if (!point->node)
        return dentry_identity(point) < 0 ? -EINVAL : note_above(m);
    int r = pseudo_path(point->node, path, sizeof(path));
    if (r < 0)
        return r;
    m->inner = strdup(path);
    return m->inner ? 0 : -ENOMEM;
}

static int note_host_prefix(struct mount *m)
{
    char name[40], path[PATH_MAX];

    if (!m->root || m->root->fd < 0)
        return 0;
    dentry_procname(m->root, name);
    ssize_t len = readlinkat(kernel.procfd, name, path, sizeof(path) - 1);
    if (len < 0)
        return -errno;
    path[len] = 0;
    m->host_prefix = strdup(path);
    return m->host_prefix ? 0 : -ENOMEM;
}

int mount_attach(struct mount_ns *ns, struct mount *m, struct dentry *point, const char *target)
{
    int r = note_place(m, point);

    if (r == 0)
        r = note_host_prefix(m);
    if (r == 0 && !(m->target = strdup(target)))
        r = -ENOMEM;
    if (r < 0)
        return r;
    pthread_rwlock_wrlock(&ns->lock);
    DL_APPEND(ns->mounts, m);
    table_changed(ns);
    pthread_rwlock_unlock(&ns->lock);
    return 0;
}

/* Write lock held. A root dentry has no counted reference to its mount, so a mount goes when both are unused:
 * out of the table, nobody can get at either again. */
static struct mount *take_unused(struct mount_ns *ns)
{
    struct mount *m;

    DL_FOREACH(ns->detached, m)
    {
        if (atomic_load(&m->refs) == 1 && (!m->root || atomic_load(&m->root->refs) == 1)) {
            DL_DELETE(ns->detached, m);
            return m;
        }
    }
    return NULL;
}

void mount_collect(struct mount_ns *ns)
{
    struct mount *unused;

    do {
        pthread_rwlock_wrlock(&ns->lock);
        unused = take_unused(ns);
        pthread_rwlock_unlock(&ns->lock);
        mount_put(unused);
    } while (unused);
}

void mount_detach(struct mount_ns *ns, struct mount *m)
{
    pthread_rwlock_wrlock(&ns->lock);
    DL_DELETE(ns->mounts, m);
    DL_APPEND(ns->detached, m);
    table_changed(ns);
    pthread_rwlock_unlock(&ns->lock);
}

int mount_ns_root(const struct container *c)
{
    return c->mounts->main->root->fd;
}

void mount_ns_note_procfs(struct container *c, bool there)
{
    c->mounts->magic = there;
}

/* What another container was given of its files may outlive a container: the rest is tried again with the
 * next one that ends. */
static void collect_orphans(void)
{
    struct mount_ns *ns, *tmp;

    LL_FOREACH_SAFE(kernel.orphan_mounts, ns, tmp)
    {
        mount_collect(ns);
        if (ns->detached)
            continue;
        LL_DELETE(kernel.orphan_mounts, ns);
        pthread_rwlock_destroy(&ns->lock);
        free(ns);
    }
}

void mount_ns_release(struct container *c)
{
    struct mount_ns *ns = steal_ptr(&c->mounts);

    if (ns) {
        while (ns->mounts)
            mount_detach(ns, ns->mounts->prev);
        LL_PREPEND(kernel.orphan_mounts, ns);
    }
    collect_orphans();
}

bool mount_dir_has_entries(int fd)
{
    char buf[1024];
    _cleanup_close_ int dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return true;
    for (long n; (n = syscall(SYS_getdents64, dir, buf, sizeof(buf))) > 0;) {
        for (long at = 0; at < n;) {
            const struct dirent64 *e = (const struct dirent64 *)(buf + at);
            if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                return true;
            at += e->d_reclen;
        }
    }
    return false;
}

/* What walks ask
 * --------------------------------------------------------------------------------------------- */

/* rdlock held. The mount right on d, or NULL. */
static struct mount *on_host(struct mount_ns *ns, struct dentry *d)
{
    struct mount *m, *hit = NULL;

    DL_FOREACH(ns->mounts, m)
    if (m->point && m->parent == d->mnt && !m->point->node && m->point->ino == d->ino &&
        m->point->dev == d->dev && m->point->mnt_id == d->mnt_id)
        hit = m;
    return hit;
}

static struct mount *on_inner(struct mount_ns *ns, const struct mount *parent, const char *inner)
{
    struct mount *m, *hit = NULL;

    DL_FOREACH(ns->mounts, m)
    if (m->inner && m->parent == parent && strcmp(m->inner, inner) == 0)
        hit = m;
    return hit;
}

static bool has_inner(struct mount_ns *ns, const struct mount *parent)
{
    struct mount *m;

    DL_FOREACH(ns->mounts, m)
    if (m->inner && m->parent == parent)
        return true;
    return false;
}

bool mount_maybe(struct mount_ns *ns, dev_t dev, uint64_t ino)
{
    struct mount *m;
    bool hit = false;

    pthread_rwlock_rdlock(&ns->lock);
    DL_FOREACH(ns->mounts, m)
    hit |= m->point && !m->point->node && m->point->ino == ino && m->point->dev == dev;
    pthread_rwlock_unlock(&ns->lock);
    return hit;
}

int mount_cross(struct task *t, struct mount_ns *ns, struct dentry **d)
{
    (void)t;
    for (;;) {
        if (!(*d)->mnt || ((*d)->node && !(*d)->is_root))
            return 0;
        if (!(*d)->node) {
            int r = dentry_identity(*d);
            if (r < 0)
                return r;
        }
        pthread_rwlock_rdlock(&ns->lock);
        struct mount *m = (*d)->node ? on_inner(ns, (*d)->mnt, "/") : on_host(ns, *d);
        struct dentry *root = m && m->root ? dentry_get(m->root) : NULL;
        pthread_rwlock_unlock(&ns->lock);
        if (!root)
            return 0;
        dentry_put(*d);
        *d = root;
    }
}

struct mount *mount_on_pseudo(struct mount_ns *ns, struct dentry *dir, const char *name)
{
    char path[PATH_MAX];
    struct mount *m = NULL, *in = dir->mnt;

    pthread_rwlock_rdlock(&ns->lock);
    while (in && (in->kind & MOUNT_SAME) && !has_inner(ns, in))
        in = in->parent;
    int n = in && has_inner(ns, in) ? pseudo_path(dir->node, path, sizeof(path)) : -1;
    if (n >= 0 && (size_t)n + strlen(name) + 2 <= sizeof(path)) {
        if (n > 1)
            path[n++] = '/';
        strcpy(path + n, name);
        m = on_inner(ns, in, path);
        if (m)
            mount_get(m);
    }
    pthread_rwlock_unlock(&ns->lock);
    return m;
}

bool mount_above(struct mount_ns *ns, struct dentry *d)
{
    unsigned gen = atomic_load_explicit(&ns->generation, memory_order_acquire);
    struct mount *m;
    bool hit = false;

    if (atomic_load_explicit(&d->above_gen, memory_order_acquire) == gen)
        return atomic_load_explicit(&d->above, memory_order_relaxed);
    if (dentry_identity(d) < 0)
        return true;
    struct host_id id = {d->dev, d->ino, d->mnt_id};
    pthread_rwlock_rdlock(&ns->lock);
    DL_FOREACH(ns->mounts, m)
    {
        if (m->parent != d->mnt)
            continue;
        hit |= m->above_any;
        for (unsigned i = 0; !hit && i < m->nabove; i++)
            hit = same_id(&m->above[i], &id);
    }
    pthread_rwlock_unlock(&ns->lock);
    atomic_store_explicit(&d->above, hit, memory_order_relaxed);
    atomic_store_explicit(&d->above_gen, gen, memory_order_release);
    return hit;
}

bool mount_is_point(struct mount_ns *ns, struct dentry *dir, const char *name)
{
    if (dir->node) {
        struct mount *m = mount_on_pseudo(ns, dir, name);
        mount_put(m);
        return m != NULL;
    }
    if (!mount_above(ns, dir))
        return false;
    int fd = openat(dir->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct dentry *d = fd < 0 ? NULL : dentry_host(dir->mnt, fd);
    bool hit = false;
    if (d && dentry_identity(d) == 0) {
        pthread_rwlock_rdlock(&ns->lock);
        hit = on_host(ns, d) != NULL;
        pthread_rwlock_unlock(&ns->lock);
    }
    dentry_put(d);
    return hit;
}

/* True if the text is already normal: no empty, "." or ".." component inside. */
static bool is_clean(const char *p)
{
    for (; *p; p++)
        if (*p == '/' && (p[1] == '/' || p[1] == '.'))
            return false;
    return true;
}

static bool has_prefix(const char *rel, const char *target)
{
    size_t n = strlen(target + 1);

    return strncmp(rel, target + 1, n) == 0 && (rel[n] == 0 || rel[n] == '/');
}

bool mount_lexical(struct mount_ns *ns, const char *path)
{
    bool clean = path[0] != '.' && is_clean(path), hit = false;
    struct mount *m;

    pthread_rwlock_rdlock(&ns->lock);
    DL_FOREACH(ns->mounts, m)
    {
        if (hit || (m->kind & MOUNT_REAL) || m == ns->main || !m->point || m->point->node)
            continue;
        hit = clean ? has_prefix(path, m->target) : path_touches(path, m->target);
    }
    pthread_rwlock_unlock(&ns->lock);
    return hit;
}

struct dentry *mount_root_at(struct mount_ns *ns, const struct statx *stx)
{
    struct dentry *d = NULL, probe = {.mnt = ns->main, .fd = -1};
    struct mount *m;

    dentry_set_identity(&probe, stx);
    pthread_rwlock_rdlock(&ns->lock);
    m = on_host(ns, &probe);
    if (m && m->root)
        d = dentry_get(m->root);
    pthread_rwlock_unlock(&ns->lock);
    if (d && mount_cross(NULL, ns, &d) < 0) {
        dentry_put(d);
        d = NULL;
    }
    return d;
}

int mount_visible_id(struct mount_ns *ns, const struct dentry *d, uint64_t host_id)
{
    struct mount *m;
    int id = d && d->mnt ? d->mnt->id : ns->main->id;

    if (d && (d->node || d->mnt != ns->main))
        return id;
    pthread_rwlock_rdlock(&ns->lock);
    DL_FOREACH(ns->mounts, m)
    if ((m->kind & MOUNT_REAL) && m->host_id == host_id)
        id = m->id;
    pthread_rwlock_unlock(&ns->lock);
    return id;
}

struct mount *mount_listed(struct mount_ns *ns, struct dentry *d)
{
    struct mount *m, *hit = d->mnt;

    if (d->node || d->mnt != ns->main || dentry_identity(d) < 0)
        return hit;
    pthread_rwlock_rdlock(&ns->lock);
    DL_FOREACH(ns->mounts, m)
    if ((m->kind & MOUNT_REAL) && m->host_id == d->mnt_id)
        hit = m;
    pthread_rwlock_unlock(&ns->lock);
    return hit;
}

/* The node that a mount of the container's start covers, found by its path. */
static struct dentry *find_inner(struct task *t, struct mount *m)
{
    struct pnode *n = m->parent->root ? pnode_get(m->parent->root->node) : NULL;
    char name[NAME_MAX + 1];

    for (const char *p = m->inner; n && *p;) {
        p += strspn(p, "/");
        size_t len = strcspn(p, "/");
        if (len == 0)
            break;
        snprintf(name, sizeof(name), "%.*s", (int)len, p);
        struct pnode *next = NULL;
        if (!n->ops->lookup || n->ops->lookup(t, n, name, &next) != 0)
            break;
        pnode_put(n);
        n = next;
        p += len;
    }
    return n ? dentry_pseudo(m->parent, n) : NULL;
}

struct dentry *mount_leave(struct task *t, struct mount *m)
{
    if (m->point)
        return dentry_get(m->point);
    return m->inner && m->parent ? find_inner(t, m) : NULL;
}

bool mount_is_scratch(struct dentry *d)
{
    struct host_id id;

    return kernel.scratch_fd >= 0 && dentry_identity(d) == 0 && note_identity(kernel.scratch_fd, &id) == 0 &&
           id.ino == d->ino && id.dev == d->dev;
}

bool mount_readonly(const struct dentry *d)
{
    return d->mnt && !(d->mnt->kind & MOUNT_REAL) && d->mnt->parent && (d->mnt->flags & MS_RDONLY);
}
