/* From objects back to paths: getcwd, /proc/PID/fd, mountinfo. */
#include "sandbox/keep/fs/vfs_priv.h"

#include <stdio.h>

int pseudo_path(const struct pnode *n, char *buf, size_t size)
{
    const struct pnode *chain[64];
    unsigned depth = 0;
    size_t at = 0;

    for (; n->parent != n; n = n->parent) {
        if (depth == ARRAY_SIZE(chain))
            return -ENAMETOOLONG;
        chain[depth++] = n;
    }
    if (depth == 0)
        return snprintf(buf, size, "/");
    while (depth > 0) {
        int k = snprintf(buf + at, size - at, "/%s", chain[--depth]->name);
        if (k < 0 || (size_t)k >= size - at)
            return -ENAMETOOLONG;
        at += (size_t)k;
    }
    return (int)at;
}

/* The host's path of d, "(unreachable)" and " (deleted)" as it says them. */
static int host_path(const struct dentry *d, char *buf, size_t size)
{
    char name[40];

    dentry_procname(d, name); /* one's own descriptors may be read whatever ids the worker has taken */
    ssize_t n = readlinkat(kernel.procfd, name, buf, size - 1);
    if (n < 0)
        return -errno;
    if ((size_t)n >= size - 1)
        return -ENAMETOOLONG;
    buf[n] = 0;
    return (int)n;
}

/* inner is a path within mount m: puts the mount's own place before it. */
static int below_mount(const struct mount *m, const char *inner, char *buf, size_t size)
{
    const char *at = strcmp(m->target, "/") == 0 ? "" : m->target;

    if (strcmp(inner, "/") == 0)
        inner = *at ? "" : "/";
    int n = snprintf(buf, size, "%s%s", at, inner);
    return n >= 0 && (size_t)n < size ? n : -ENAMETOOLONG;
}

static int pseudo_path_abs(const struct dentry *d, char *buf, size_t size)
{
    const struct mount *m = d->mnt;
    char path[PATH_MAX];

    if (!m || !m->target)
        return snprintf(buf, size, "/");
    if ((m->kind & MOUNT_MASK) != 0 || d->is_root)
        return below_mount(m, "/", buf, size);
    while ((m->kind & MOUNT_SAME) && m->parent)
        m = m->parent;
    int r = pseudo_path(d->node, path, sizeof(path));
    return r < 0 ? r : below_mount(m, path, buf, size);
}

int dentry_path_abs(struct dentry *d, char *buf, size_t size)
{
    char path[PATH_MAX];

    if (d->file) {
        file_link_name(d->file, buf, size);
        return (int)strlen(buf);
    }
    if (d->node)
        return pseudo_path_abs(d, buf, size);
    int n = host_path(d, path, sizeof(path));
    if (n < 0)
        return n;
    const struct mount *m = d->mnt;
    if (!m || !m->host_prefix || !m->target) /* main: the keep's root is the container's */
        return snprintf(buf, size, "%s", path);
    size_t prefix = strcmp(m->host_prefix, "/") == 0 ? 0 : strlen(m->host_prefix);
    const char *inner = path;
    if (strncmp(path, m->host_prefix, prefix) == 0)
        inner = path[prefix] ? path + prefix : "/";
    return below_mount(m, inner, buf, size);
}

int dentry_path(struct task *t, struct dentry *d, char *buf, size_t size)
{
    char root[PATH_MAX], path[PATH_MAX];
    struct mount_ns *ns = t->process->container->mounts;
    _cleanup_dentry_ struct dentry *top = t->fs ? fs_root(t->fs) : dentry_get(ns->main->root);

    if (d->file || top == ns->main->root) {
        int n = dentry_path_abs(d, buf, size);
        return n < 0 ? n : 0;
    }
    int n = dentry_path_abs(top, root, sizeof(root));
    if (n >= 0)
        n = dentry_path_abs(d, path, sizeof(path));
    if (n < 0)
        return n;
    size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strncmp(path, root, len) == 0 && (path[len] == '/' || path[len] == 0))
        n = snprintf(buf, size, "%s", path[len] ? path + len : "/");
    else
        n = snprintf(buf, size, "(unreachable)%s", path);
    return n >= 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}
