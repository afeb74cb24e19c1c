/* root, cwd and umask. */
#include "sandbox/keep/fs/vfs_priv.h"

static struct fs *fs_alloc(struct dentry *root, struct dentry *cwd, mode_t mask)
{
    struct fs *fs = calloc(1, sizeof(*fs));

    if (!fs)
        return NULL;
    fs->refs = 1;
    pthread_mutex_init(&fs->lock, NULL);
    fs->root = dentry_get(root);
    fs->cwd = dentry_get(cwd);
    fs->umask = mask;
    return fs;
}

/* Makes the directories that lead to cwd, as runtimes do; what is in the way shows at the lookup that
 * follows. */
static void make_cwd(struct mount_ns *ns, const char *cwd)
{
    char path[PATH_MAX];
    size_t n = strlen(cwd);

    if (n == 0 || n >= sizeof(path))
        return;
    memcpy(path, cwd, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != 0)
            continue;
        char c = path[i];
        path[i] = 0;
        _cleanup_dentry_ struct dentry *parent = NULL;
        _cleanup_walk_ struct walk w;
        char last[258];
        bool trailing;
        walk_begin_at(&w, ns, ns->main->root, NULL, path);
        if (walk_parent(&w, &parent, last, &trailing) == 0 && parent->fd >= 0)
            (void)mkdirat(parent->fd, last, 0755);
        path[i] = c;
    }
}

struct fs *fs_new_root(struct container *c, const char *cwd, mode_t mask, int *err)
{
    struct mount_ns *ns = c->mounts;
    _cleanup_dentry_ struct dentry *d = NULL;

    for (int round = 0; round < 2; round++) {
        _cleanup_walk_ struct walk w;
        walk_begin_at(&w, ns, ns->main->root, NULL, cwd);
        int r = walk_lookup(&w, WALK_FOLLOW | WALK_DIRECTORY, &d);
        if (r == 0)
            break;
        if (r != -ENOENT || round == 1) {
            *err = -r;
            return NULL;
        }
        make_cwd(ns, cwd);
    }
    struct fs *fs = fs_alloc(ns->main->root, d, mask & 0777);
    if (!fs)
        *err = ENOMEM;
    return fs;
}

struct fs *fs_get(struct fs *fs)
{
    atomic_fetch_add_explicit(&fs->refs, 1, memory_order_relaxed);
    return fs;
}

void fs_put(struct fs *fs)
{
    if (!fs || atomic_fetch_sub_explicit(&fs->refs, 1, memory_order_acq_rel) != 1)
        return;
    dentry_put(fs->root);
    dentry_put(fs->cwd);
    pthread_mutex_destroy(&fs->lock);
    free(fs);
}

struct fs *fs_dup(struct fs *fs)
{
    LOCKED(&fs->lock);
    return fs_alloc(fs->root, fs->cwd, fs->umask);
}

struct dentry *fs_root(struct fs *fs)
{
    LOCKED(&fs->lock);
    return dentry_get(fs->root);
}

struct dentry *fs_cwd(struct fs *fs)
{
    LOCKED(&fs->lock);
    return dentry_get(fs->cwd);
}
