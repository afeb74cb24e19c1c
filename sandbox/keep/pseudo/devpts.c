/* devpts: /dev/pts with its ptmx and one node for each terminal. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "sandbox/keep/pseudo/pseudo.h"
#include "sandbox/keep/device/tty_internal.h"

#define DEVPTS_MAX 4096

int devpts_init(struct container *c, int host_root)
{
    struct devpts *d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    atomic_init(&d->refs, 1);
    pthread_mutex_init(&d->lock, NULL);
    d->host_root = host_root;
    d->max = DEVPTS_MAX;
    d->mode = 0600;
    c->devpts = d;
    return 0;
}

struct devpts *devpts_get(struct devpts *d)
{
    atomic_fetch_add(&d->refs, 1);
    return d;
}

void devpts_put(struct devpts *d)
{
    if (!d || atomic_fetch_sub(&d->refs, 1) != 1)
        return;
    if (d->host_root >= 0)
        close(d->host_root);
    pthread_mutex_destroy(&d->lock);
    free(d->slots);
    free(d);
}

void devpts_release(struct container *c)
{
    struct devpts *d = steal_ptr(&c->devpts);
    if (!d)
        return;
    pthread_mutex_lock(&d->lock);
    struct tty *console = steal_ptr(&d->console);
    pthread_mutex_unlock(&d->lock);
    tty_put(console);
    devpts_put(d);
}

/* [d->lock] Without a reference. */
static struct tty *slot(const struct devpts *d, unsigned index)
{
    struct tty *tty = index < d->nslots ? d->slots[index] : NULL;
    /* A slot without references is being freed, one without a master has hung up: no longer in the directory.
     */
    if (!tty || atomic_load(&tty->refs) == 0 || (tty->master < 0 && tty->console_fd < 0))
        return NULL;
    return tty;
}

struct tty *devpts_tty(struct devpts *d, unsigned index)
{
    LOCKED(&d->lock);
    struct tty *tty = slot(d, index);
    return tty ? tty_get(tty) : NULL;
}

/* Nodes ----------------------------------------------------------------------------------------------------
 */

static int slave_node_open(struct task *t, struct pnode *n, int flags, struct file **ret)
{
    return tty_open_slave(t, n->priv, flags, ret);
}

static int slave_node_setattr(struct task *t, struct pnode *n, const struct stat *st, unsigned mask)
{
    (void)t;
    struct tty *tty = n->priv;
    LOCKED(&tty->lock);
    if (mask & STATX_MODE)
        tty->mode = st->st_mode & 07777;
    if (mask & STATX_UID)
        tty->uid = st->st_uid;
    if (mask & STATX_GID)
        tty->gid = st->st_gid;
    n->mode = S_IFCHR | tty->mode;
    n->uid = tty->uid;
    n->gid = tty->gid;
    return 0;
}

static void slave_node_release(struct pnode *n)
{
    tty_put(n->priv);
}

static const struct pnode_ops slave_node_ops = {
    .open = slave_node_open,
    .setattr = slave_node_setattr,
    .release = slave_node_release,
};

static int ptmx_node_open(struct task *t, struct pnode *n, int flags, struct file **ret)
{
    (void)n;
    return tty_open_ptmx(t, flags, ret);
}

static const struct pnode_ops ptmx_node_ops = {.open = ptmx_node_open};

/* The number that a name stands for: digits without leading zeros. -1: none. */
static long name_index(const char *name)
{
    long n = 0;
    if (!*name || (name[0] == '0' && name[1]))
        return -1;
    for (const char *s = name; *s; s++) {
        if (*s < '0' || *s > '9' || n > DEVPTS_MAX)
            return -1;
        n = n * 10 + (*s - '0');
    }
    return n;
}

static int ptmx_node(struct pnode *dir, struct pnode **ret)
{
    const struct devpts *d = dir->priv;
    struct pnode *n = pnode_new(&ptmx_node_ops, S_IFCHR | d->ptmxmode, dir, "ptmx");
    if (!n)
        return -ENOMEM;
    n->rdev = makedev(5, 2);
    n->ino = 2;
    *ret = n;
    return 0;
}

static int root_lookup(struct task *t, struct pnode *dir, const char *name, struct pnode **ret)
{
    (void)t;
    if (strcmp(name, "ptmx") == 0)
        return ptmx_node(dir, ret);
    long index = name_index(name);
    struct tty *tty = index < 0 ? NULL : devpts_tty(dir->priv, (unsigned)index);
    if (!tty)
        return -ENOENT;
    struct pnode *n = pnode_new(&slave_node_ops, S_IFCHR | tty->mode, dir, name);
    if (!n) {
        tty_put(tty);
        return -ENOMEM;
    }
    n->uid = tty->uid;
    n->gid = tty->gid;
    n->rdev = makedev(TTY_SLAVE_MAJOR, tty->index);
    n->ino = tty->index + 3;
    n->priv = tty;
    *ret = n;
    return 0;
}

/* Positions: 0 ".", 1 "..", 2 ptmx, 3 + N. */
static int root_iterate(struct task *t, struct pnode *dir, off_t *pos, struct dir_context *ctx)
{
    (void)t;
    static const char *const first[] = {".", "..", "ptmx"};
    struct devpts *d = dir->priv;
    for (; *pos < 3 + (off_t)DEVPTS_MAX; ++*pos) {
        unsigned i = (unsigned)*pos;
        char name[16];
        int r = 0;
        if (i < 3) {
            r = ctx->emit(ctx, first[i], i == 2 ? 2 : 1, i == 2 ? DT_CHR : DT_DIR, *pos + 1);
        } else {
            LOCKED(&d->lock);
            if (i - 3 >= d->nslots)
                return 0;
            if (!slot(d, i - 3))
                continue;
            snprintf(name, sizeof(name), "%u", i - 3);
            r = ctx->emit(ctx, name, i, DT_CHR, *pos + 1);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static void root_release(struct pnode *n)
{
    devpts_put(n->priv);
}

static const struct pnode_ops root_ops = {
    .lookup = root_lookup,
    .iterate = root_iterate,
    .release = root_release,
};

/* Mounting -------------------------------------------------------------------------------------------------
 */

static int option_number(const char *value, int base, unsigned long max, unsigned long *ret)
{
    char *end;
    errno = 0;
    unsigned long v = strtoul(value, &end, base);
    if (errno || end == value || *end || *value == '-' || v > max)
        return -EINVAL;
    *ret = v;
    return 0;
}

static int parse_option(struct devpts *d, char *opt)
{
    char *value = strchr(opt, '=');
    if (!value) /* newinstance, and the flags of mounts in general */
        return 0;
    *value++ = '\0';
    unsigned long v;
    if (strcmp(opt, "mode") == 0 && option_number(value, 8, 07777, &v) == 0)
        d->mode = (mode_t)v & 0777;
    else if (strcmp(opt, "ptmxmode") == 0 && option_number(value, 8, 07777, &v) == 0)
        d->ptmxmode = (mode_t)v & 0777;
    else if (strcmp(opt, "uid") == 0 && option_number(value, 10, UINT32_MAX - 1, &v) == 0)
        d->uid = (uid_t)v, d->has_uid = true;
    else if (strcmp(opt, "gid") == 0 && option_number(value, 10, UINT32_MAX - 1, &v) == 0)
        d->gid = (gid_t)v, d->has_gid = true;
    else if (strcmp(opt, "max") == 0 && option_number(value, 10, 1 << 20, &v) == 0)
        d->max = v < DEVPTS_MAX ? (unsigned)v : DEVPTS_MAX;
    else
        return -EINVAL;
    return 0;
}

int devpts_mount(struct container *c, const char *options, struct pnode **ret_root)
{
    if (!c->devpts) {
        int r = devpts_init(c, -1);
        if (r < 0)
            return r;
    }
    struct devpts *d = c->devpts;
    _cleanup_free_ char *copy = strdup(options ? options : "");
    if (!copy)
        return -ENOMEM;
    char *save = NULL;
    for (char *o = strtok_r(copy, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
        int r = parse_option(d, o);
        if (r < 0)
            return r;
    }
    if (d->console) { /* made before its file system's options were known */
        d->console->mode = d->mode;
        if (d->has_gid)
            d->console->gid = d->gid;
    }
    struct pnode *root = pnode_new(&root_ops, S_IFDIR | 0755, NULL, "");
    if (!root)
        return -ENOMEM;
    root->ino = 1;
    root->priv = devpts_get(d);
    *ret_root = root;
    return 0;
}
