/* Nodes of the keep's own file systems, and the open files over them. */
#include "sandbox/keep/pseudo/pseudo.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "sandbox/keep/fs/vfs.h"

/* Nodes ----------------------------------------------------------------------------------------------------
 */

uint64_t pnode_child_ino(const struct pnode *parent, const char *name)
{
    uint64_t h = 0xcbf29ce484222325ULL;
    if (parent)
        h = (h ^ parent->ino) * 0x100000001b3ULL;
    for (const char *c = name; *c; c++)
        h = (h ^ (unsigned char)*c) * 0x100000001b3ULL;
    h ^= h >> 32;
    /* 32 bits, as Linux's procfs has, and clear of the small numbers that mean something. */
    return (h & 0x7fffffff) | 0x80000000;
}

struct pnode *pnode_new(const struct pnode_ops *ops, mode_t mode, struct pnode *parent, const char *name)
{
    struct pnode *n = calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    n->refs = 1;
    n->ops = ops;
    n->mode = mode;
    if (parent) {
        n->parent = pnode_get(parent);
        n->uid = parent->uid;
        n->gid = parent->gid;
        n->ino = pnode_child_ino(parent, name);
    } else {
        n->parent = n;
        n->ino = 1;
    }
    (void)snprintf(n->name, sizeof(n->name), "%s", name);
    return n;
}

struct pnode *pnode_get(struct pnode *n)
{
    atomic_fetch_add(&n->refs, 1);
    return n;
}

void pnode_put(struct pnode *n)
{
    while (n && atomic_fetch_sub(&n->refs, 1) == 1) {
        struct pnode *parent = n->parent == n ? NULL : n->parent;
        if (n->ops && n->ops->release)
            n->ops->release(n);
        free(n);
        n = parent;
    }
}

/* Directories of known names -------------------------------------------------------------------------------
 */

static int entry_dir_lookup(struct task *t, struct pnode *dir, const char *name, struct pnode **ret)
{
    (void)t;
    return pentry_lookup(dir->entry->dir, dir, name, ret);
}

static int entry_dir_iterate(struct task *t, struct pnode *dir, off_t *pos, struct dir_context *ctx)
{
    (void)t;
    return pentry_iterate(dir->entry->dir, dir, pos, 2, ctx);
}

static int pentry_show(struct task *t, struct pnode *n, struct strbuf *sb)
{
    if (n->entry->show)
        return n->entry->show(t, n, sb);
    if (!n->entry->text)
        return -EINVAL;
    sb_put(sb, n->entry->text, strlen(n->entry->text));
    return 0;
}

ssize_t pentry_write(struct task *t, struct pnode *n, const char *data, size_t len, off_t pos)
{
    return n->entry->write ? n->entry->write(t, n, data, len, pos) : -EINVAL;
}

static long entry_readlink(struct task *t, struct pnode *n, char *buf, size_t size)
{
    (void)t;
    size_t len = strlen(n->entry->text);
    if (len >= size)
        return -ENAMETOOLONG;
    memcpy(buf, n->entry->text, len + 1);
    return (long)len;
}

const struct pnode_ops pentry_dir_ops = {.lookup = entry_dir_lookup, .iterate = entry_dir_iterate};
static const struct pnode_ops pentry_file_ops = {.show = pentry_show, .write = pentry_write};
static const struct pnode_ops pentry_link_ops = {.readlink = entry_readlink};
static const struct pnode_ops pentry_other_ops = {.show = NULL}; /* device nodes: opened by their number */

static const struct pnode_ops *entry_ops(const struct pentry *e)
{
    if (e->ops)
        return e->ops;
    if (S_ISDIR(e->mode))
        return &pentry_dir_ops;
    if (S_ISLNK(e->mode))
        return &pentry_link_ops;
    return S_ISREG(e->mode) ? &pentry_file_ops : &pentry_other_ops;
}

int pentry_node(const struct pentry *e, struct pnode *parent, struct pnode **ret)
{
    struct pnode *n = pnode_new(entry_ops(e), e->mode, parent, e->name);
    if (!n)
        return -ENOMEM;
    n->entry = e;
    n->key = e->key;
    n->rdev = e->rdev;
    *ret = n;
    return 0;
}

int pentry_lookup(const struct pentry *dir, struct pnode *parent, const char *name, struct pnode **ret)
{
    static const struct pentry none = {.name = NULL};
    for (const struct pentry *e = dir ? dir : &none; e->name; e++)
        if (!strcmp(e->name, name))
            return pentry_node(e, parent, ret);
    return -ENOENT;
}

int pentry_iterate(const struct pentry *dir, struct pnode *parent, off_t *pos, off_t first,
                   struct dir_context *ctx)
{
    off_t at = first;
    for (const struct pentry *e = dir; e && e->name; e++, at++) {
        if (at < *pos)
            continue;
        if (ctx->emit(ctx, e->name, pnode_child_ino(parent, e->name), IFTODT(e->mode), at + 1))
            return 1;
        *pos = at + 1;
    }
    return 0;
}

/* Open text files ------------------------------------------------------------------------------------------
 */

/* One making of a file's text. Readers hold a reference, so that no lock is held while guest memory is
 * written. */
struct snapshot {
    atomic_int refs;
    struct strbuf sb;
};

struct pfile {
    struct pnode *node;
    pthread_mutex_t lock; /* guards text */
    struct snapshot *text;
};

static void snapshot_put(struct snapshot *s)
{
    if (s && atomic_fetch_sub(&s->refs, 1) == 1) {
        sb_free(&s->sb);
        free(s);
    }
}

static void snapshot_put_p(struct snapshot **s)
{
    snapshot_put(*s);
}

/* The text to read from: made anew at position 0, so that a program which rewinds sees the present. */
static int pfile_text(struct task *t, struct pfile *pf, bool renew, struct snapshot **ret)
{
    if (!renew) {
        LOCKED(&pf->lock);
        if (pf->text) {
            atomic_fetch_add(&pf->text->refs, 1);
            *ret = pf->text;
            return 0;
        }
    }
    struct snapshot *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->refs = 2; /* the file's and the caller's */
    int r = pf->node->ops->show(t, pf->node, &s->sb);
    if (r == 0 && s->sb.failed)
        r = -ENOMEM;
    if (r < 0) {
        s->refs = 1;
        snapshot_put(s);
        return r;
    }
    pthread_mutex_lock(&pf->lock);
    struct snapshot *old = pf->text;
    pf->text = s;
    pthread_mutex_unlock(&pf->lock);
    snapshot_put(old);
    *ret = s;
    return 0;
}

static ssize_t pfile_read(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    struct pfile *pf = f->priv;
    if (!pf->node->ops->show)
        return -EINVAL;
    if (*pos < 0)
        return -EINVAL;
    _cleanup_(snapshot_put_p) struct snapshot *s = NULL;
    int r = pfile_text(t, pf, *pos == 0, &s);
    if (r < 0)
        return r;
    if ((uint64_t)*pos >= s->sb.len || !u->resid)
        return 0;
    size_t n = s->sb.len - (size_t)*pos;
    if (n > u->resid)
        n = u->resid;
    ssize_t done = uio_put(u, s->sb.s + *pos, n);
    if (done > 0)
        *pos += done;
    return done;
}

#define PFILE_WRITE_MAX 65536

static ssize_t pfile_write(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    struct pfile *pf = f->priv;
    if (!pf->node->ops->write)
        return -EINVAL;
    if (!u->resid)
        return 0;
    size_t n = u->resid < PFILE_WRITE_MAX ? u->resid : PFILE_WRITE_MAX;
    _cleanup_free_ char *buf = malloc(n + 1);
    if (!buf)
        return -ENOMEM;
    ssize_t got = uio_get(u, buf, n);
    if (got <= 0)
        return got;
    buf[got] = 0;
    ssize_t done = pf->node->ops->write(t, pf->node, buf, (size_t)got, pos ? *pos : 0);
    if (done > 0 && pos && __builtin_add_overflow(*pos, (off_t)done, pos))
        *pos = INT64_MAX;
    return done;
}

off_t pseudo_llseek(struct task *t, struct file *f, off_t off, int whence)
{
    (void)t;
    off_t base = 0;
    if (whence == SEEK_CUR)
        base = f->pos;
    else if (whence != SEEK_SET)
        return -EINVAL;
    off_t to;
    if (__builtin_add_overflow(base, off, &to) || to < 0)
        return -EINVAL;
    f->pos = to;
    return to;
}

/* "." and ".." stand at 0 and 1 for every directory; the node's own entries follow from 2. */
static int pfile_iterate(struct task *t, struct file *f, struct dir_context *ctx)
{
    struct pnode *n = ((struct pfile *)f->priv)->node;
    if (!n->ops->iterate)
        return -ENOTDIR;
    if (f->pos == 0) {
        if (ctx->emit(ctx, ".", n->ino, DT_DIR, 1))
            return 0;
        f->pos = 1;
    }
    if (f->pos == 1) {
        if (ctx->emit(ctx, "..", n->parent->ino, DT_DIR, 2))
            return 0;
        f->pos = 2;
    }
    int r = n->ops->iterate(t, n, &f->pos, ctx);
    return r < 0 ? r : 0;
}

static void pfile_release(struct file *f)
{
    struct pfile *pf = f->priv;
    snapshot_put(pf->text);
    pthread_mutex_destroy(&pf->lock);
    pnode_put(pf->node);
    free(pf);
}

static const struct file_ops pfile_ops = {
    .name = "pseudo",
    .read = pfile_read,
    .write = pfile_write,
    .llseek = pseudo_llseek,
    .release = pfile_release,
};

static const struct file_ops pdir_ops = {
    .name = "pseudo directory",
    .llseek = pseudo_llseek,
    .iterate = pfile_iterate,
    .release = pfile_release,
};

/* A node's own rules hold at the opening, whatever the mode bits said. */
static int check_open(struct task *t, struct pnode *n, int flags)
{
    if (!n->ops->permission)
        return 0;
    int acc = flags & O_ACCMODE;
    int r = n->ops->permission(t, n, (acc != O_WRONLY ? R_OK : 0) | (acc != O_RDONLY ? W_OK : 0));
    return r < 0 ? r : 0;
}

int pnode_open(struct task *t, struct pnode *n, int flags, struct file **ret)
{
    int r = check_open(t, n, flags);
    if (r < 0)
        return r;
    if (n->ops->open)
        return n->ops->open(t, n, flags, ret);
    bool dir = S_ISDIR(n->mode);
    if (dir && (flags & O_ACCMODE) != O_RDONLY)
        return -EISDIR;
    if (!dir && !S_ISREG(n->mode))
        return S_ISLNK(n->mode) ? -ELOOP : -ENXIO;
    struct pfile *pf = calloc(1, sizeof(*pf));
    if (!pf)
        return -ENOMEM;
    pf->node = pnode_get(n);
    pthread_mutex_init(&pf->lock, NULL);
    unsigned kind = FILE_SEEKABLE | FILE_NOPOLL | (dir ? FILE_DIR : 0);
    struct file *f = file_new(dir ? &pdir_ops : &pfile_ops, (unsigned)flags, kind, -1, pf);
    if (!f) {
        pthread_mutex_destroy(&pf->lock);
        pnode_put(n);
        free(pf);
        return -ENOMEM;
    }
    *ret = f;
    return 0;
}
