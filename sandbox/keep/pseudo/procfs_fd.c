/* /proc/PID/fd and fdinfo, and the other links of a process to open things: exe, cwd, root, ns. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>

#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/pseudo/procfs_priv.h"
#include "sandbox/keep/fs/vfs.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

/* The tables -----------------------------------------------------------------------------------------------
 */

struct fd_facts {
    int fd;
    bool found, cloexec;
    unsigned flags;
};

static void match_fd(int fd, struct file *f, bool cloexec, void *arg)
{
    struct fd_facts *want = arg;
    if (fd == want->fd) {
        want->found = true;
        want->cloexec = cloexec;
        want->flags = f->flags;
    }
}

/* The file that a link or a fdinfo node stands for: a reference; NULL when it is closed by now. */
static struct file *node_file(const struct proc_who *w, uint64_t fd)
{
    struct fdtable *ft = proc_fdtable(w);
    if (!ft)
        return NULL;
    struct file *f = fd <= INT_MAX ? fdtable_get_file(ft, (int)fd) : NULL;
    fdtable_put(ft);
    return f;
}

static int link_file(struct task *t, struct pnode *n, struct file **ret)
{
    _cleanup_who_ struct proc_who w;
    int r = proc_who_access(t, n, &w);
    if (r < 0)
        return r == -ESRCH ? -ENOENT : r;
    *ret = node_file(&w, n->key);
    return *ret ? 0 : -ENOENT;
}

/* fd/N -----------------------------------------------------------------------------------------------------
 */

static long fd_readlink(struct task *t, struct pnode *n, char *buf, size_t size)
{
    _cleanup_file_ struct file *f = NULL;
    int r = link_file(t, n, &f);
    if (r < 0)
        return r;
    if (!f->dentry) {
        file_link_name(f, buf, size);
        return (long)strnlen(buf, size);
    }
    r = dentry_path(t, f->dentry, buf, size);
    return r < 0 ? r : (long)strnlen(buf, size);
}

static int fd_follow(struct task *t, struct pnode *n, struct dentry **ret)
{
    _cleanup_file_ struct file *f = NULL;
    int r = link_file(t, n, &f);
    if (r < 0)
        return r;
    if (!f->dentry)
        return -ENXIO;
    *ret = dentry_get(f->dentry);
    return 0;
}

static int fd_open_link(struct task *t, struct pnode *n, int flags, struct file **ret)
{
    _cleanup_file_ struct file *f = NULL;
    int r = link_file(t, n, &f);
    if (r < 0)
        return r;
    if (!(flags & O_PATH))
        return file_reopen(t, f, flags, ret);
    *ret = steal_ptr(&f); /* only to be looked at: stat(2) through the link */
    return 0;
}

static const struct pnode_ops fd_link_ops = {
    .readlink = fd_readlink, .follow = fd_follow, .open_link = fd_open_link};

/* fdinfo/N -------------------------------------------------------------------------------------------------
 */

/* Event, timer and inotify descriptors are the host's: so are their lines ("eventfd-count: ..."), but for the
 * handles of files that are watched. */
static void host_fdinfo(const struct file *f, struct strbuf *sb)
{
    static const char *const lines[] = {"eventfd-",  "clockid:",     "ticks:",     "settime ",
                                        "it_value:", "it_interval:", "inotify wd:"};
    const char *name = f->ops->name ? f->ops->name : "";
    if (strcmp(name, "anon_inode:[eventfd]") != 0 && strcmp(name, "anon_inode:[timerfd]") != 0 &&
        strcmp(name, "anon_inode:inotify") != 0)
        return;
    _cleanup_sb_ struct strbuf host = {0};
    if (host_proc_read(&host, "self/fdinfo/%d", f->hostfd) < 0 || !host.s)
        return;
    char *save;
    for (char *line = strtok_r(host.s, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *handle = strstr(line, "fhandle-");
        if (handle)
            *handle = 0;
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
            if (!strncmp(line, lines[i], strlen(lines[i])))
                sb_printf(sb, "%s\n", line);
    }
}

static int fdinfo_show(struct task *t, struct pnode *n, struct strbuf *sb)
{
    _cleanup_who_ struct proc_who w;
    int r = proc_who_access(t, n, &w);
    if (r < 0)
        return r;
    struct fdtable *ft = proc_fdtable(&w);
    if (!ft)
        return -ENOENT;
    struct fd_facts facts = {.fd = (int)n->key};
    fd_for_each(ft, match_fd, &facts);
    _cleanup_file_ struct file *f = fdtable_get_file(ft, facts.fd);
    fdtable_put(ft);
    if (!facts.found || !f)
        return -ENOENT;
    off_t pos = 0;
    if (f->kind & FILE_LANE)
        pos = lseek(f->hostfd, 0, SEEK_CUR);
    else if (f->kind & FILE_SEEKABLE)
        pos = f->pos;
    unsigned flags = facts.flags & ~(unsigned)O_CLOEXEC;
    if (facts.cloexec)
        flags |= O_CLOEXEC;
    struct stat st = {0};
    if (f->dentry) {
        if (!(flags & O_PATH))
            flags |= 0100000; /* O_LARGEFILE, which open(2) adds for 64-bit programs */
        (void)dentry_stat(t, f->dentry, &st);
    } else if (f->ops->stat) {
        (void)f->ops->stat(t, f, &st);
    }
    sb_printf(sb, "pos:\t%lld\nflags:\t0%o\nmnt_id:\t%d\nino:\t%lu\n", pos < 0 ? 0LL : (long long)pos, flags,
              f->dentry ? dentry_mount_id(t, f->dentry) : 15, (unsigned long)st.st_ino);
    if (f->ops->show_fdinfo)
        f->ops->show_fdinfo(t, f, sb);
    else
        host_fdinfo(f, sb);
    return 0;
}

static const struct pnode_ops fdinfo_file_ops = {.show = fdinfo_show};

/* The directories ------------------------------------------------------------------------------------------
 */

static mode_t link_mode(unsigned flags)
{
    unsigned acc = flags & O_ACCMODE;
    mode_t m = S_IFLNK | S_IXUSR;
    if (flags & O_PATH)
        return S_IFLNK;
    return m | (acc != O_WRONLY ? S_IRUSR : 0) | (acc != O_RDONLY ? S_IWUSR : 0);
}

static int fd_lookup(struct task *t, struct pnode *dir, const char *name, struct pnode **ret)
{
    (void)t;
    unsigned long fd;
    if (!proc_number(name, INT_MAX, &fd))
        return -ENOENT;
    _cleanup_who_ struct proc_who w;
    if (proc_who(dir, &w) < 0)
        return -ENOENT;
    _cleanup_file_ struct file *f = node_file(&w, fd);
    if (!f)
        return -ENOENT;
    bool info = dir->ops == &proc_fdinfo_ops;
    struct pnode *n = pnode_new(info ? &fdinfo_file_ops : &fd_link_ops,
                                info ? PROC_FILE(0444) : link_mode(f->flags), dir, name);
    if (!n)
        return -ENOMEM;
    n->key = fd;
    *ret = n;
    return 0;
}

struct fd_list {
    int *fds;
    size_t n, cap;
};

static void collect_fd(int fd, struct file *f, bool cloexec, void *arg)
{
    (void)f;
    (void)cloexec;
    struct fd_list *l = arg;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        int *fds = realloc(l->fds, cap * sizeof(*fds));
        if (!fds)
            return;
        l->fds = fds;
        l->cap = cap;
    }
    l->fds[l->n++] = fd;
}

static int fd_iterate(struct task *t, struct pnode *dir, off_t *pos, struct dir_context *ctx)
{
    (void)t;
    _cleanup_who_ struct proc_who w;
    if (proc_who(dir, &w) < 0)
        return -ENOENT;
    struct fdtable *ft = proc_fdtable(&w);
    if (!ft)
        return 0;
    struct fd_list l = {0};
    fd_for_each(ft, collect_fd, &l);
    fdtable_put(ft);
    _cleanup_free_ int *fds = l.fds;
    unsigned char type = dir->ops == &proc_fdinfo_ops ? DT_REG : DT_LNK;
    for (size_t i = 0; i < l.n; i++) {
        off_t at = 2 + (off_t)fds[i];
        if (at < *pos)
            continue;
        char name[16];
        (void)snprintf(name, sizeof(name), "%d", fds[i]);
        if (ctx->emit(ctx, name, pnode_child_ino(dir, name), type, at + 1))
            return 1;
        *pos = at + 1;
    }
    return 0;
}

/* A process may always look at its own, even when it is not dumpable and the directory is root's. */
static int fd_permission(struct task *t, struct pnode *n, int mask)
{
    (void)mask;
    _cleanup_who_ struct proc_who w;
    if (proc_who(n, &w) < 0)
        return 1;
    return w.p == t->process ? 0 : 1;
}

static int fdinfo_permission(struct task *t, struct pnode *n, int mask)
{
    (void)mask;
    _cleanup_who_ struct proc_who w;
    int r = proc_who_access(t, n, &w);
    return r == -EACCES ? r : 1;
}

const struct pnode_ops proc_fd_ops = {
    .lookup = fd_lookup, .iterate = fd_iterate, .permission = fd_permission};
const struct pnode_ops proc_fdinfo_ops = {
    .lookup = fd_lookup, .iterate = fd_iterate, .permission = fdinfo_permission};

/* exe, cwd, root -------------------------------------------------------------------------------------------
 */

enum which { WHICH_EXE, WHICH_CWD, WHICH_ROOT };

static int which_dentry(struct task *t, struct pnode *n, enum which which, struct dentry **ret)
{
    _cleanup_who_ struct proc_who w;
    int r = proc_who_access(t, n, &w);
    if (r < 0)
        return r == -ESRCH ? -ENOENT : r;
    LOCKED(&kernel.tasklist_lock);
    struct dentry *d = NULL;
    if (which == WHICH_EXE) {
        d = w.p->mm ? w.p->mm->exe : NULL;
    } else if (w.t && !w.t->exited && w.t->fs) {
        struct fs *fs = w.t->fs;
        pthread_mutex_lock(&fs->lock);
        d = dentry_get(which == WHICH_CWD ? fs->cwd : fs->root);
        pthread_mutex_unlock(&fs->lock);
        *ret = d;
        return 0;
    }
    if (!d)
        return -ENOENT;
    *ret = dentry_get(d);
    return 0;
}

static long which_readlink(struct task *t, struct pnode *n, enum which which, char *buf, size_t size)
{
    _cleanup_dentry_ struct dentry *d = NULL;
    int r = which_dentry(t, n, which, &d);
    if (r == 0)
        r = dentry_path(t, d, buf, size);
    return r < 0 ? r : (long)strnlen(buf, size);
}

#define LINK_OPS(name_, which_)                                                                              \
    static long name_##_readlink(struct task *t, struct pnode *n, char *buf, size_t size)                    \
    {                                                                                                        \
        return which_readlink(t, n, which_, buf, size);                                                      \
    }                                                                                                        \
    static int name_##_follow(struct task *t, struct pnode *n, struct dentry **ret)                          \
    {                                                                                                        \
        return which_dentry(t, n, which_, ret);                                                              \
    }

LINK_OPS(exe, WHICH_EXE)
LINK_OPS(cwd, WHICH_CWD)
LINK_OPS(root, WHICH_ROOT)

const struct pnode_ops proc_exe_ops = {.readlink = exe_readlink, .follow = exe_follow};
const struct pnode_ops proc_cwd_ops = {.readlink = cwd_readlink, .follow = cwd_follow};
const struct pnode_ops proc_root_link_ops = {.readlink = root_readlink, .follow = root_follow};

/* ns/ ------------------------------------------------------------------------------------------------------
 */

/* Every container has one set of namespaces; the numbers are the keep's own. */
static const struct {
    const char *name, *kind;
    unsigned ino;
    int type; /* clone(2) */
} namespaces[] = {
    {"cgroup", "cgroup", 4026531835U, CLONE_NEWCGROUP},
    {"ipc", "ipc", 4026531839U, CLONE_NEWIPC},
    {"mnt", "mnt", 4026531841U, CLONE_NEWNS},
    {"net", "net", 4026531840U, CLONE_NEWNET},
    {"pid", "pid", 4026531836U, CLONE_NEWPID},
    {"pid_for_children", "pid", 4026531836U, CLONE_NEWPID},
    {"time", "time", 4026531834U, CLONE_NEWTIME},
    {"time_for_children", "time", 4026531834U, CLONE_NEWTIME},
    {"user", "user", 4026531837U, CLONE_NEWUSER},
    {"uts", "uts", 4026531838U, CLONE_NEWUTS},
};

static long ns_readlink(struct task *t, struct pnode *n, char *buf, size_t size)
{
    _cleanup_who_ struct proc_who w;
    int r = proc_who_access(t, n, &w);
    if (r < 0)
        return r;
    return snprintf(buf, size, "%s:[%u]", namespaces[n->key].kind, namespaces[n->key].ino);
}

/* A name of something that can be kept open, compared by its number, and used for nothing else here. */
static void ns_link_name(struct file *f, char *buf, size_t size)
{
    size_t i = (size_t)(uintptr_t)f->priv;
    (void)snprintf(buf, size, "%s:[%u]", namespaces[i].kind, namespaces[i].ino);
}

static int ns_stat(struct task *t, struct file *f, struct stat *st)
{
    (void)t;
    *st = (struct stat){
        .st_dev = 4,
        .st_ino = namespaces[(size_t)(uintptr_t)f->priv].ino,
        .st_mode = S_IFREG | 0444,
        .st_nlink = 1,
        .st_blksize = 4096,
    };
    return 0;
}

static int ns_reopen(struct task *t, struct file *f, int flags, struct file **ret);

static const struct file_ops ns_file_ops = {
    .name = "nsfs", .stat = ns_stat, .link_name = ns_link_name, .reopen = ns_reopen};

int proc_ns_type(const struct file *f)
{
    return f->ops == &ns_file_ops ? namespaces[(size_t)(uintptr_t)f->priv].type : 0;
}

static int ns_new(uint64_t key, int flags, struct file **ret)
{
    if ((flags & O_ACCMODE) != O_RDONLY)
        return -EPERM;
    *ret = file_new(&ns_file_ops, (unsigned)flags, FILE_NOPOLL, -1, (void *)(uintptr_t)key);
    return *ret ? 0 : -ENOMEM;
}

static int ns_reopen(struct task *t, struct file *f, int flags, struct file **ret)
{
    (void)t;
    return ns_new((uintptr_t)f->priv, flags, ret);
}

static int ns_open_link(struct task *t, struct pnode *n, int flags, struct file **ret)
{
    _cleanup_who_ struct proc_who w;
    int r = proc_who_access(t, n, &w);
    return r < 0 ? r : ns_new(n->key, flags, ret);
}

static int ns_follow(struct task *t, struct pnode *n, struct dentry **ret)
{
    (void)t;
    (void)n;
    (void)ret;
    return -ENXIO; /* it has no name: open_link opens it */
}

static const struct pnode_ops ns_link_ops = {
    .readlink = ns_readlink, .follow = ns_follow, .open_link = ns_open_link};

static int ns_lookup(struct task *t, struct pnode *dir, const char *name, struct pnode **ret)
{
    (void)t;
    for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++) {
        if (strcmp(namespaces[i].name, name) != 0)
            continue;
        struct pnode *n = pnode_new(&ns_link_ops, PROC_LINK, dir, name);
        if (!n)
            return -ENOMEM;
        n->key = i;
        *ret = n;
        return 0;
    }
    return -ENOENT;
}

static int ns_iterate(struct task *t, struct pnode *dir, off_t *pos, struct dir_context *ctx)
{
    (void)t;
    for (size_t i = *pos < 2 ? 0 : (size_t)*pos - 2; i < ARRAY_SIZE(namespaces); i++) {
        const char *name = namespaces[i].name;
        if (ctx->emit(ctx, name, pnode_child_ino(dir, name), DT_LNK, (off_t)i + 3))
            return 1;
        *pos = (off_t)i + 3;
    }
    return 0;
}

const struct pnode_ops proc_ns_ops = {.lookup = ns_lookup, .iterate = ns_iterate};
