#include "sandbox/keep/pseudo/cgroup_fs.h"

#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>

#include "sandbox/keep/container/cgroup.h"
#include "sandbox/keep/pseudo/procfs_priv.h"
#include "sandbox/keep/task/quiet.h"
#include "sandbox/keep/task/unheard.h"

enum { FILE_MAX = 1 << 20 };

/* A directory of the host's, or the name of a file in it. */
struct cg_node {
    const struct keep_cgroup_tree *tree;
    int fd; /* of a directory, -1 of a file; the root's is the tree's */
    bool own_fd;
    char name[NAME_MAX + 1];
};

static void cg_release(struct pnode *n)
{
    struct cg_node *g = n->priv;

    if (g && g->own_fd)
        (void)close(g->fd);
    free(g);
}

/* Processes ------------------------------------------------------------------------------------------------
 */

static bool holds_pids(const char *name)
{
    return strcmp(name, "cgroup.procs") == 0 || strcmp(name, "cgroup.threads") == 0 ||
           strcmp(name, "tasks") == 0;
}

/* The host's numbers become the guest's; whom the guest cannot know (the porter) is left out. */
static void put_pids(const struct container *c, const char *name, char *text, struct strbuf *sb)
{
    bool threads = strcmp(name, "cgroup.procs") != 0;
    char *save = NULL;

    if (threads)
        quiet_await_all(c);
    LOCKED(&kernel.tasklist_lock);
    unheard_find_all();
    for (char *s = strtok_r(text, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
        struct task *t = task_by_host_tid((pid_t)atoi(s));
        if (t && t->process->container == c)
            sb_printf(sb, "%d\n", threads ? t->tid : t->process->pid);
        if (t)
            task_put(t); /* not the last: it is in the table */
    }
}

/* 0 is the caller. */
static pid_t host_pid_of(const struct task *t, const char *name, const char *text)
{
    char *end;
    long pid = strtol(text, &end, 10);

    if (end == text || (*end && *end != '\n') || pid < 0 || pid > INT32_MAX)
        return -EINVAL;
    quiet_await_pid(t, (pid_t)pid);
    LOCKED(&kernel.tasklist_lock);
    const struct task *o = pid == 0 ? t : task_by_tid(t->process->container->pids, (pid_t)pid);
    if (!o || !o->host_tid)
        return -ESRCH;
    return strcmp(name, "cgroup.procs") == 0 ? o->process->host_pid : o->host_tid;
}

/* Files ----------------------------------------------------------------------------------------------------
 */

static int file_show(struct task *t, struct pnode *n, struct strbuf *sb)
{
    const struct cg_node *g = n->priv, *dir = n->parent->priv;
    _cleanup_close_ int fd = openat(dir->fd, g->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_sb_ struct strbuf text = {0};
    char buf[4096];
    ssize_t r;

    if (fd < 0)
        return -errno;
    while (text.len < FILE_MAX && (r = read(fd, buf, sizeof(buf))) != 0) {
        if (r < 0)
            return -errno;
        sb_put(&text, buf, (size_t)r);
    }
    if (text.failed)
        return -ENOMEM;
    if (text.s && holds_pids(g->name))
        put_pids(t->process->container, g->name, text.s, sb);
    else if (text.s)
        sb_put(sb, text.s, text.len);
    return 0;
}

static ssize_t file_write(struct task *t, struct pnode *n, const char *data, size_t len, off_t pos)
{
    const struct cg_node *g = n->priv, *dir = n->parent->priv;
    char number[16];
    size_t whole = len;

    (void)pos;
    if (holds_pids(g->name)) {
        pid_t pid = host_pid_of(t, g->name, data);
        if (pid < 0)
            return pid;
        len = (size_t)snprintf(number, sizeof(number), "%d", pid);
        data = number;
    }
    _cleanup_close_ int fd = openat(dir->fd, g->name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 || write(fd, data, len) < 0 ? -errno : (ssize_t)whole;
}

static const struct pnode_ops file_ops = {.show = file_show, .write = file_write, .release = cg_release};

/* Directories ----------------------------------------------------------------------------------------------
 */

static const struct pnode_ops dir_ops;

/* fd is taken over if own. */
static int new_node(const struct keep_cgroup_tree *tree, struct pnode *parent, const char *name, mode_t mode,
                    int fd, bool own, struct pnode **ret)
{
    struct cg_node *g = calloc(1, sizeof(*g));
    struct pnode *n = g ? pnode_new(S_ISDIR(mode) ? &dir_ops : &file_ops, mode, parent, name) : NULL;

    if (!n) {
        if (own)
            (void)close(fd);
        free(g);
        return -ENOMEM;
    }
    *g = (struct cg_node){.tree = tree, .fd = fd, .own_fd = own};
    snprintf(g->name, sizeof(g->name), "%s", name);
    n->priv = g;
    *ret = n;
    return 0;
}

static int dir_lookup(struct task *t, struct pnode *dir, const char *name, struct pnode **ret)
{
    const struct cg_node *g = dir->priv;
    struct stat st;
    int fd = -1;

    (void)t;
    if (strchr(name, '/') || strcmp(name, "..") == 0 || fstatat(g->fd, name, &st, AT_SYMLINK_NOFOLLOW))
        return -ENOENT;
    if (S_ISDIR(st.st_mode))
        fd = openat(g->fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (S_ISDIR(st.st_mode) ? fd < 0 : !S_ISREG(st.st_mode))
        return -ENOENT;
    int r = new_node(g->tree, dir, name, st.st_mode, fd, fd >= 0, ret);
    if (r == 0) {
        (*ret)->uid = st.st_uid;
        (*ret)->gid = st.st_gid;
    }
    return r;
}

static int dir_iterate(struct task *t, struct pnode *dir, off_t *pos, struct dir_context *ctx)
{
    const struct cg_node *g = dir->priv;
    int fd = openat(g->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
    off_t at = 2;

    (void)t;
    if (!d)
        return -errno;
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || at++ < *pos)
            continue;
        if (ctx->emit(ctx, e->d_name, pnode_child_ino(dir, e->d_name), e->d_type, at))
            return 1;
        *pos = at;
    }
    return 0;
}

static const struct pnode_ops dir_ops = {.lookup = dir_lookup, .iterate = dir_iterate, .release = cg_release};

const char *cgroup_fs_path(const struct pnode *root)
{
    const struct cg_node *g = root->ops == &dir_ops ? root->priv : NULL;

    return g && g->tree->path[0] && strcmp(g->tree->path, "/") != 0 ? g->tree->path : NULL;
}

/* The directory of hierarchies ------------------------------------------------------------------------------
 */

/* "cpu,cpuacct", "systemd", "unified"; empty: not shown. */
static void name_of(const struct keep_cgroup_tree *tree, char ret[64])
{
    ret[0] = 0;
    if (tree->dir < 0 && (tree->version == 2 || !cgroup_default_v1(tree->controllers)))
        return;
    const char *named =
        strncmp(tree->controllers, "name=", 5) == 0 ? tree->controllers + 5 : tree->controllers;
    snprintf(ret, 64, "%s", tree->version == 2 ? "unified" : named);
    if (strchr(ret, '/'))
        ret[0] = 0;
}

/* A hierarchy of several controllers can be found by the name of each. */
static bool is_alias(const char *whole, const char *name)
{
    size_t len = strlen(name);
    const char *at = strstr(whole, name);

    return strchr(whole, ',') && at && len && !strchr(name, ',') && (at == whole || at[-1] == ',') &&
           (at[len] == 0 || at[len] == ',');
}

static long alias_readlink(struct task *t, struct pnode *n, char *buf, size_t size)
{
    (void)t;
    return snprintf(buf, size, "%s", (const char *)n->priv) < (int)size ? (long)strlen(buf) : -ENAMETOOLONG;
}

static void alias_release(struct pnode *n)
{
    free(n->priv);
}

static const struct pnode_ops alias_ops = {.readlink = alias_readlink, .release = alias_release};

static int new_alias(struct pnode *dir, const char *name, const char *whole, struct pnode **ret)
{
    struct pnode *n = pnode_new(&alias_ops, PROC_LINK, dir, name);

    if (!n || !(n->priv = strdup(whole))) {
        if (n)
            pnode_put(n);
        return -ENOMEM;
    }
    *ret = n;
    return 0;
}

static int top_lookup(struct task *t, struct pnode *dir, const char *name, struct pnode **ret)
{
    const struct container *c = dir->priv;
    char whole[64];

    (void)t;
    for (unsigned i = 0; c->cgroup && i < c->cgroup->n; i++) {
        name_of(&c->cgroup->tree[i], whole);
        if (whole[0] && strcmp(whole, name) == 0) {
            struct pnode *n = pnode_new(&pentry_dir_ops, PROC_DIR(0555), dir, name);
            static const struct pentry empty = {.name = "", .mode = PROC_DIR(0555), .dir = proc_empty_dir};
            if (n)
                n->entry = &empty;
            *ret = n;
            return n ? 0 : -ENOMEM;
        }
        if (whole[0] && is_alias(whole, name))
            return new_alias(dir, name, whole, ret);
    }
    return -ENOENT;
}

static int top_iterate(struct task *t, struct pnode *dir, off_t *pos, struct dir_context *ctx)
{
    const struct container *c = dir->priv;
    char name[64];

    (void)t;
    for (; c->cgroup && *pos - 2 < (off_t)c->cgroup->n; ++*pos) {
        name_of(&c->cgroup->tree[*pos - 2], name);
        if (name[0] && ctx->emit(ctx, name, pnode_child_ino(dir, name), DT_DIR, *pos + 1))
            return 1;
    }
    return 0;
}

static const struct pnode_ops top_ops = {.lookup = top_lookup, .iterate = top_iterate};

bool cgroup_fs_part(const struct container *c, const struct pseudo_fs *fs, unsigned i,
                    struct cgroup_fs_part *ret)
{
    if (strcmp(fs->type, "tmpfs") != 0 || !c->cgroup || i >= c->cgroup->n)
        return false;
    const struct keep_cgroup_tree *tree = &c->cgroup->tree[i];
    name_of(tree, ret->name);
    ret->type = tree->version == 1 ? "cgroup" : "cgroup2";
    ret->option = tree->controllers;
    return true;
}

/* Mounts ---------------------------------------------------------------------------------------------------
 */

static int entries(struct container *c, const struct pentry *dir, struct pnode **ret)
{
    struct pnode *n = pnode_new(&pentry_dir_ops, PROC_DIR(0555), NULL, "");
    static const struct pentry two = {.name = "", .mode = PROC_DIR(0555), .dir = cgroup_default_v2};

    if (!n)
        return -ENOMEM;
    n->entry = dir ? dir : &two;
    n->priv = c;
    *ret = n;
    return 0;
}

static int root_of(const struct keep_cgroup_tree *t, struct pnode **ret)
{
    struct stat st;

    if (fstat(t->dir, &st))
        return -errno;
    int r = new_node(t, NULL, "", st.st_mode, t->dir, false, ret);
    if (r == 0) {
        (*ret)->uid = st.st_uid;
        (*ret)->gid = st.st_gid;
    }
    return r;
}

static int v2_mount(struct container *c, const char *options, struct pnode **ret)
{
    (void)options;
    for (unsigned i = 0; c->cgroup && i < c->cgroup->n; i++)
        if (c->cgroup->tree[i].version == 2 && c->cgroup->tree[i].dir >= 0)
            return root_of(&c->cgroup->tree[i], ret);
    return entries(c, NULL, ret);
}

/* The hierarchy that the options name a controller of. */
static const struct keep_cgroup_tree *named(const struct container *c, const char *options)
{
    for (unsigned i = 0; c->cgroup && i < c->cgroup->n; i++) {
        const struct keep_cgroup_tree *t = &c->cgroup->tree[i];
        for (const char *o = options ? options : ""; t->version == 1 && *o;
             o += strcspn(o, ","), o += *o == ',') {
            size_t len = strcspn(o, ",");
            if (len > 0 && strncmp(t->controllers, o, len) == 0 &&
                (t->controllers[len] == 0 || t->controllers[len] == ','))
                return t;
        }
    }
    return NULL;
}

static int v1_mount(struct container *c, const char *options, struct pnode **ret)
{
    const struct keep_cgroup_tree *t = named(c, options);
    const struct pentry *plain = t ? cgroup_default_v1(t->controllers) : NULL;

    if (t && t->dir >= 0)
        return root_of(t, ret);
    return plain ? entries(c, plain, ret) : -EINVAL;
}

static int top_mount(struct container *c, const char *options, struct pnode **ret)
{
    struct pnode *n = pnode_new(&top_ops, PROC_DIR(0755), NULL, "");

    (void)options;
    if (!n)
        return -ENOMEM;
    n->priv = c;
    *ret = n;
    return 0;
}

const struct pseudo_fs *cgroup_fs_for(const struct container *c, const char *type, const char *options)
{
    static const struct pseudo_fs two = {"cgroup2", CGROUP2_SUPER_MAGIC, v2_mount},
                                  one = {"cgroup", CGROUP_SUPER_MAGIC, v1_mount},
                                  top = {"tmpfs", TMPFS_MAGIC, top_mount};
    bool has_v1 = false;

    if (strcmp(type, "cgroup2") == 0)
        return &two;
    if (strcmp(type, "cgroup") != 0)
        return NULL;
    for (unsigned i = 0; c->cgroup && i < c->cgroup->n; i++)
        has_v1 |= c->cgroup->tree[i].version == 1;
    return named(c, options) ? &one : has_v1 ? &top : &two;
}
