/* Dentries: handles to objects, and what can be asked of them. */
#include "sandbox/keep/fs/vfs_priv.h"

#include <stdio.h>

int vfs_init(void)
{
    if (kernel.vfs)
        return 0;
    struct vfs_state *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    pthread_mutex_init(&s->fifo_lock, NULL);
    pthread_mutex_init(&s->device_lock, NULL);
    pthread_mutex_init(&s->umount_lock, NULL);
    kernel.vfs = s;
    umask(0); /* the guests' masks are applied before the host sees a mode */
    return 0;
}

struct dentry *dentry_get(struct dentry *d)
{
    atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    return d;
}

void dentry_put(struct dentry *d)
{
    if (!d || atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (d->fd >= 0)
        (void)close(d->fd);
    if (d->node)
        pnode_put(d->node);
    if (d->file)
        file_put(d->file);
    if (d->mnt && !d->is_root)
        mount_put(d->mnt);
    free(d);
}

static struct dentry *dentry_new(struct mount *m)
{
    struct dentry *d = calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    d->refs = 1;
    d->fd = -1;
    d->mnt = m ? mount_get(m) : NULL;
    return d;
}

struct dentry *dentry_host(struct mount *m, int fd)
{
    struct dentry *d = dentry_new(m);

    if (!d) {
        (void)close(fd);
        return NULL;
    }
    d->fd = fd;
    return d;
}

struct dentry *dentry_pseudo(struct mount *m, struct pnode *n)
{
    struct dentry *d = dentry_new(m);

    if (!d) {
        pnode_put(n);
        return NULL;
    }
    d->node = n;
    return d;
}

struct dentry *dentry_file(struct file *f)
{
    struct dentry *d = dentry_new(NULL);

    if (!d) {
        file_put(f);
        return NULL;
    }
    d->file = f;
    return d;
}

void dentry_set_identity(struct dentry *d, const struct statx *stx)
{
    d->type = stx->stx_mode & S_IFMT;
    d->dev = makedev(stx->stx_dev_major, stx->stx_dev_minor);
    d->rdev = makedev(stx->stx_rdev_major, stx->stx_rdev_minor);
    d->ino = stx->stx_ino;
    d->mnt_id = stx->stx_mnt_id;
    atomic_store_explicit(&d->known, true, memory_order_release);
}

int dentry_identity(struct dentry *d)
{
    struct statx stx;

    if (atomic_load_explicit(&d->known, memory_order_acquire))
        return 0;
    if (d->fd < 0)
        return -EINVAL;
    if (statx(d->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, DENTRY_IDENTITY, &stx) != 0)
        return -errno;
    device_patch(&stx);
    dentry_set_identity(d, &stx);
    return 0;
}

mode_t dentry_type(struct dentry *d)
{
    if (d->node)
        return d->node->mode & S_IFMT;
    if (d->file || dentry_identity(d) != 0)
        return 0;
    return d->type;
}

bool dentry_in_proc(const struct dentry *d)
{
    return d->node && d->mnt && d->mnt->fs && strcmp(d->mnt->fs->type, "proc") == 0;
}

bool dentry_same(struct dentry *a, struct dentry *b)
{
    if (a == b)
        return true;
    if (a->mnt != b->mnt || a->file || b->file)
        return false;
    if (a->node || b->node)
        return a->node && b->node &&
               (a->node == b->node ||
                (a->node->ino != 0 && a->node->ino == b->node->ino && a->node->ops == b->node->ops &&
                 a->node->key == b->node->key && strcmp(a->node->name, b->node->name) == 0));
    if (dentry_identity(a) != 0 || dentry_identity(b) != 0)
        return false;
    return a->ino == b->ino && a->dev == b->dev && a->mnt_id == b->mnt_id;
}

void dentry_procname(const struct dentry *d, char buf[40])
{
    snprintf(buf, 40, "%d/fd/%d", (int)kernel.pid, d->fd);
}

/* Stat -----------------------------------------------------------------------------------------------------
 */

void stat_from_statx(struct stat *st, const struct statx *stx)
{
    memset(st, 0, sizeof(*st));
    st->st_dev = makedev(stx->stx_dev_major, stx->stx_dev_minor);
    st->st_ino = stx->stx_ino;
    st->st_nlink = stx->stx_nlink;
    st->st_mode = stx->stx_mode;
    st->st_uid = stx->stx_uid;
    st->st_gid = stx->stx_gid;
    st->st_rdev = makedev(stx->stx_rdev_major, stx->stx_rdev_minor);
    st->st_size = (off_t)stx->stx_size;
    st->st_blksize = stx->stx_blksize;
    st->st_blocks = (blkcnt_t)stx->stx_blocks;
    st->st_atim = (struct timespec){stx->stx_atime.tv_sec, stx->stx_atime.tv_nsec};
    st->st_mtim = (struct timespec){stx->stx_mtime.tv_sec, stx->stx_mtime.tv_nsec};
    st->st_ctim = (struct timespec){stx->stx_ctime.tv_sec, stx->stx_ctime.tv_nsec};
}

static struct statx_timestamp stamp(struct timespec ts)
{
    return (struct statx_timestamp){.tv_sec = ts.tv_sec, .tv_nsec = (uint32_t)ts.tv_nsec};
}

void statx_from_stat(struct statx *stx, const struct stat *st)
{
    memset(stx, 0, sizeof(*stx));
    stx->stx_mask = STATX_BASIC_STATS;
    stx->stx_dev_major = major(st->st_dev);
    stx->stx_dev_minor = minor(st->st_dev);
    stx->stx_ino = st->st_ino;
    stx->stx_nlink = (uint32_t)st->st_nlink;
    stx->stx_mode = (uint16_t)st->st_mode;
    stx->stx_uid = st->st_uid;
    stx->stx_gid = st->st_gid;
    stx->stx_rdev_major = major(st->st_rdev);
    stx->stx_rdev_minor = minor(st->st_rdev);
    stx->stx_size = (uint64_t)st->st_size;
    stx->stx_blksize = (uint32_t)st->st_blksize;
    stx->stx_blocks = (uint64_t)st->st_blocks;
    stx->stx_atime = stamp(st->st_atim);
    stx->stx_mtime = stamp(st->st_mtim);
    stx->stx_ctime = stamp(st->st_ctim);
}

static void pseudo_stat(const struct dentry *d, struct stat *st)
{
    const struct pnode *n = d->node;
    struct timespec ts;

    memset(st, 0, sizeof(*st));
    clock_gettime(CLOCK_REALTIME_COARSE, &ts);
    st->st_dev = d->mnt ? d->mnt->dev : 0;
    st->st_ino = n->ino;
    st->st_nlink = S_ISDIR(n->mode) ? 2 : 1;
    st->st_mode = n->mode;
    st->st_uid = n->uid;
    st->st_gid = n->gid;
    st->st_rdev = n->rdev;
    st->st_size = S_ISLNK(n->mode) && strcmp(n->parent->name, "fd") == 0 ? 64 : 0;
    st->st_blksize = 1024;
    st->st_atim = st->st_mtim = st->st_ctim = ts;
}

int dentry_statx(struct task *t, struct dentry *d, unsigned mask, struct statx *stx)
{
    struct stat st;

    if (d->fd >= 0) {
        vfs_assume(t);
        if (statx(d->fd, "", AT_EMPTY_PATH, mask | DENTRY_IDENTITY, stx) != 0)
            return -errno;
        device_patch(stx);
        return 0;
    }
    if (d->node) {
        pseudo_stat(d, &st);
    } else {
        int r = d->file->ops->stat ? d->file->ops->stat(t, d->file, &st) : -EBADF;
        if (r == -EBADF && d->file->hostfd >= 0)
            r = fstat(d->file->hostfd, &st) == 0 ? 0 : -errno;
        if (r < 0)
            return r;
    }
    statx_from_stat(stx, &st);
    return 0;
}

int dentry_stat(struct task *t, struct dentry *d, struct stat *st)
{
    struct statx stx;
    int r = dentry_statx(t, d, STATX_BASIC_STATS, &stx);

    if (r == 0)
        stat_from_statx(st, &stx);
    return r;
}

int dentry_statfs(struct task *t, struct dentry *d, struct statfs *sf)
{
    if (d->fd >= 0) {
        vfs_assume(t);
        return fstatfs(d->fd, sf) == 0 ? 0 : -errno;
    }
    memset(sf, 0, sizeof(*sf));
    sf->f_type = d->node && d->mnt && d->mnt->fs ? d->mnt->fs->magic : 0x50495045; /* PIPEFS_MAGIC */
    sf->f_bsize = sf->f_frsize = 4096;
    sf->f_namelen = 255;
    sf->f_flags = d->mnt ? (long)(d->mnt->flags & 0xf) | 0x20 /* ST_VALID */ : 0x20;
    return 0;
}

/* Access ---------------------------------------------------------------------------------------------------
 */

static bool in_group(const struct cred *c, gid_t gid, bool real)
{
    if (gid == (real ? c->gid : c->fsgid))
        return true;
    for (unsigned i = 0; i < c->ngroups; i++)
        if (c->groups[i] == gid)
            return true;
    return false;
}

int pseudo_access(struct task *t, struct pnode *n, int mask, bool real_ids)
{
    if (!t)
        return 0;
    int own = n->ops->permission ? n->ops->permission(t, n, mask) : 1;
    if (own <= 0)
        return own;
    const struct cred *c = t->cred;
    uid_t uid = real_ids ? c->uid : c->fsuid;
    uint64_t caps = !real_ids ? c->cap_effective : uid == 0 ? c->cap_permitted : 0;
    mode_t bits = n->mode & 7;

    if (uid == n->uid)
        bits = (n->mode >> 6) & 7;
    else if (in_group(c, n->gid, real_ids))
        bits = (n->mode >> 3) & 7;
    if (((mode_t)mask & ~bits) == 0)
        return 0;
    bool search = S_ISDIR(n->mode) && !(mask & W_OK);
    if ((caps & (1ULL << 2 /* CAP_DAC_READ_SEARCH */)) && (search || mask == R_OK))
        return 0;
    /* CAP_DAC_OVERRIDE does not make a file executable that nobody may execute. */
    if ((caps & (1ULL << 1)) && (!(mask & X_OK) || S_ISDIR(n->mode) || (n->mode & 0111)))
        return 0;
    return -EACCES;
}

int dentry_access(struct task *t, struct dentry *d, int mask, bool real_ids)
{
    mode_t type = dentry_type(d);

    if ((mask & W_OK) && mount_readonly(d) && (S_ISREG(type) || S_ISDIR(type) || S_ISLNK(type)))
        return -EROFS;
    if (d->node)
        return pseudo_access(t, d->node, mask, real_ids);
    if (d->file)
        return 0;
    if (real_ids)
        vfs_assume_real(t);
    else
        vfs_assume(t);
    return faccessat(d->fd, "", mask, AT_EMPTY_PATH | AT_EACCESS) == 0 ? 0 : -errno;
}
