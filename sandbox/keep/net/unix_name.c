/* Names of unix sockets: inodes of the file system, and the abstract name space, in one table. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "sandbox/keep/container/notify.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/net/unix.h"

#define PATH_OFFSET offsetof(struct sockaddr_un, sun_path)
#define AUTOBIND_SPACE 0x100000U

void unix_addr_out(const struct unix_addr *from, struct sock_addr *to)
{
    memset(to, 0, sizeof(*to));
    to->ss.ss_family = AF_UNIX;
    to->len = sizeof(sa_family_t);
    if (from->len) {
        memcpy(&to->ss, &from->un, from->len);
        to->len = from->len;
    }
}

/* Checks a guest's address. A path is terminated, and len made its true one. */
static int addr_check(const struct sock_addr *in, struct unix_addr *out)
{
    memset(out, 0, sizeof(*out));
    if (in->len <= PATH_OFFSET || in->len > sizeof(out->un) || in->ss.ss_family != AF_UNIX)
        return -EINVAL;
    memcpy(&out->un, &in->ss, in->len);
    out->len = in->len;
    if (out->un.sun_path[0])
        out->len = (socklen_t)(PATH_OFFSET + strnlen(out->un.sun_path, in->len - PATH_OFFSET) + 1);
    return 0;
}

/* A path of the full 108 bytes has no room for its NUL in the structure. */
static void addr_path(const struct unix_addr *a, char path[sizeof(a->un.sun_path) + 1])
{
    size_t n = a->len - PATH_OFFSET - 1;
    memcpy(path, a->un.sun_path, n);
    path[n] = 0;
}

static void key_abstract(struct unix_key *k, const struct unix_addr *a)
{
    memset(k, 0, sizeof(*k));
    k->abstract_len = a->len - (socklen_t)PATH_OFFSET;
    memcpy(k->abstract, a->un.sun_path, k->abstract_len);
}

static void key_inode(struct unix_key *k, const struct stat *st)
{
    memset(k, 0, sizeof(*k));
    k->dev = st->st_dev;
    k->ino = st->st_ino;
}

/* [lock] Takes over d on success. */
static int name_add(struct unix_sock *u, const struct unix_addr *a, const struct unix_key *k,
                    struct dentry *d)
{
    struct unix_state *us = kernel.unix_state;
    struct unix_sock *other;
    if (u->addr.len)
        return -EINVAL;
    HASH_FIND(hh, us->names, k, sizeof(*k), other);
    if (other)
        return -EADDRINUSE;
    u->addr = *a;
    u->key = *k;
    u->inode = d;
    HASH_ADD(hh, us->names, key, sizeof(u->key), u);
    return 0;
}

struct dentry *unix_unbind(struct unix_sock *u)
{
    struct unix_state *us = kernel.unix_state;
    struct dentry *d = u->inode;
    if (!u->addr.len || !u->hh.tbl)
        return NULL;
    HASH_DEL(us->names, u);
    u->hh.tbl = NULL;
    u->inode = NULL;
    return d;
}

static int bind_auto(struct unix_sock *u)
{
    struct unix_state *us = kernel.unix_state;
    LOCKED(&us->lock);
    if (u->addr.len)
        return 0;
    for (uint32_t i = 0; i < AUTOBIND_SPACE; i++) {
        struct unix_addr a = {.un.sun_family = AF_UNIX};
        struct unix_key k;
        us->next_auto = (us->next_auto + 1) % AUTOBIND_SPACE;
        (void)snprintf(a.un.sun_path + 1, sizeof(a.un.sun_path) - 1, "%05x", us->next_auto);
        a.len = PATH_OFFSET + 6;
        key_abstract(&k, &a);
        if (name_add(u, &a, &k, NULL) == 0)
            return 0;
    }
    return -ENOSPC;
}

static int make_inode(struct task *t, const char *path)
{
    _cleanup_dentry_ struct dentry *parent = NULL;
    char last[256];
    bool slash = false;
    int r = path_parent(t, AT_FDCWD, path, &parent, last, &slash);
    if (r < 0)
        return r;
    if (slash || !*last || !strcmp(last, "/") || !strcmp(last, ".") || !strcmp(last, ".."))
        return -EADDRINUSE;
    if (parent->fd < 0)
        return -EPERM;
    mode_t umask;
    {
        LOCKED(&t->fs->lock);
        umask = t->fs->umask;
    }
    vfs_assume(t);
    if (mknodat(parent->fd, last, S_IFSOCK | (0777 & ~umask), 0) < 0)
        return errno == EEXIST ? -EADDRINUSE : -errno;
    return 0;
}

static int bind_path(struct task *t, struct unix_sock *u, const struct unix_addr *a)
{
    struct unix_state *us = kernel.unix_state;
    char path[sizeof(a->un.sun_path) + 1];
    _cleanup_dentry_ struct dentry *d = NULL;
    struct unix_key k;
    struct stat st;
    {
        LOCKED(&us->lock);
        if (u->addr.len)
            return -EINVAL;
    }
    addr_path(a, path);
    int r = make_inode(t, path);
    if (r == 0)
        r = path_lookup(t, AT_FDCWD, path, 0, &d);
    if (r == 0)
        r = dentry_stat(t, d, &st);
    if (r < 0)
        return r;
    if (!S_ISSOCK(st.st_mode))
        return -EADDRINUSE; /* someone was quicker */
    key_inode(&k, &st);
    LOCKED(&us->lock);
    r = name_add(u, a, &k, d);
    if (r == 0)
        d = NULL;
    return r;
}

int unix_bind(struct task *t, struct file *f, const struct sock_addr *addr)
{
    struct unix_state *us = kernel.unix_state;
    struct unix_sock *u = unix_of(f);
    struct unix_addr a;
    if (addr->len == sizeof(sa_family_t) && addr->ss.ss_family == AF_UNIX)
        return bind_auto(u);
    int r = addr_check(addr, &a);
    if (r < 0)
        return r;
    if (a.un.sun_path[0])
        return bind_path(t, u, &a);
    struct unix_key k;
    key_abstract(&k, &a);
    LOCKED(&us->lock);
    return name_add(u, &a, &k, NULL);
}

static int find_inode(struct task *t, const struct unix_addr *a, struct unix_key *k)
{
    char path[sizeof(a->un.sun_path) + 1];
    _cleanup_dentry_ struct dentry *d = NULL;
    struct stat st;
    addr_path(a, path);
    int r = path_lookup(t, AT_FDCWD, path, LOOKUP_FOLLOW, &d);
    if (r == 0)
        r = dentry_access(t, d, W_OK, false);
    if (r == 0)
        r = dentry_stat(t, d, &st);
    if (r < 0)
        return r;
    if (!S_ISSOCK(st.st_mode))
        return -ECONNREFUSED;
    key_inode(k, &st);
    return 0;
}

int unix_find(struct task *t, const struct sock_addr *addr, struct unix_sock **ret)
{
    struct unix_state *us = kernel.unix_state;
    struct unix_addr a;
    struct unix_key k;
    struct unix_sock *u;
    int r = addr_check(addr, &a);
    if (r < 0)
        return r;
    if (a.un.sun_path[0]) {
        r = find_inode(t, &a, &k);
        if (r < 0)
            return r;
    } else {
        key_abstract(&k, &a);
        *ret = notify_find(t->process->container, k.abstract + 1, k.abstract_len - 1);
        if (*ret)
            return 0;
    }
    LOCKED(&us->lock);
    HASH_FIND(hh, us->names, &k, sizeof(k), u);
    if (!u)
        return -ECONNREFUSED;
    *ret = unix_get(u);
    return 0;
}
