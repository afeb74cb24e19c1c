/* The mqueue file system: one directory with the container's queues. They are made and removed by mq_open and
 * mq_unlink. */
#include "sandbox/keep/ipc/mqueue.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/pseudo/pseudo.h"
#include "sandbox/keep/task/task.h"

/* The queues are those of who looks: no mount of another container's is to be seen in his. */
static bool find(const struct task *t, const char *name, unsigned index, struct mqueue_info *ret)
{
    return t && mqueue_info(t->process->container->ipc, name, index, ret);
}

static int queue_show(struct task *t, struct pnode *n, struct strbuf *sb)
{
    struct mqueue_info info;
    if (!find(t, n->priv, 0, &info))
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
    struct mqueue_info info;
    if (!find(t, name, 0, &info))
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
    for (;; ++*pos) {
        struct mqueue_info info;
        int r;
        if (*pos < 2)
            r = ctx->emit(ctx, *pos ? ".." : ".", dir->ino, DT_DIR, *pos + 1);
        else if (find(t, NULL, (unsigned)*pos - 2, &info))
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
    (void)c;
    (void)options;
    struct pnode *n = pnode_new(&root_ops, S_IFDIR | S_ISVTX | 0777, NULL, "");
    if (!n)
        return -ENOMEM;
    *ret = n;
    return 0;
}
