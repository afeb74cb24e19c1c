/* The mqueue file system: one directory with the container's queues. They are made and removed by mq_open and
 * mq_unlink. */
#include "sandbox/keep/mqueue.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "sandbox/keep/pseudo.h"

static int queue_show(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)t;
    struct mqueue_info info;
    if (!mqueue_info(n->parent->priv, n->priv, 0, &info))
        return -ENOENT;
    sb_printf(sb, "%s", info.text);
    return 0;
}

static void queue_release(struct pnode *n)
{
    free(n->priv);
}

static const struct pnode_ops queue_ops = {.show = queue_show, .release = queue_release};

static int root_lookup(struct task *t, struct pnode *dir, const char *name, struct pnode **ret)
{
    (void)t;
    struct mqueue_info info;
    if (!mqueue_info(dir->priv, name, 0, &info))
        return -ENOENT;
    struct pnode *n = pnode_new(&queue_ops, S_IFREG | info.mode, dir, name);
    if (!n)
        return -ENOMEM;
    n->uid = info.uid;
    n->gid = info.gid;
    n->priv = strdup(info.name);
    if (!n->priv) {
        pnode_put(n);
        return -ENOMEM;
    }
    *ret = n;
    return 0;
}

static int root_iterate(struct task *t, struct pnode *dir, off_t *pos, struct dir_context *ctx)
{
    (void)t;
    for (;; ++*pos) {
        struct mqueue_info info;
        int r;
        if (*pos < 2)
            r = ctx->emit(ctx, *pos ? ".." : ".", dir->ino, DT_DIR, *pos + 1);
        else if (mqueue_info(dir->priv, NULL, (unsigned)*pos - 2, &info))
            r = ctx->emit(ctx, info.name, pnode_child_ino(dir, info.name), DT_REG, *pos + 1);
        else
            return 0;
        if (r < 0)
            return r;
    }
}

static const struct pnode_ops root_ops = {.lookup = root_lookup, .iterate = root_iterate};

int mqueue_mount(struct container *c, const char *options, struct pnode **ret)
{
    (void)options;
    struct pnode *n = pnode_new(&root_ops, S_IFDIR | S_ISVTX | 0777, NULL, "");
    if (!n)
        return -ENOMEM;
    n->priv = c;
    *ret = n;
    return 0;
}
