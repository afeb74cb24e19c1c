/* The keep's own file systems (proc, sys, devpts, ...): a small node interface, with which vfs.c walks, stats and opens. */
#ifndef BAILEY_KEEP_PSEUDO_H
#define BAILEY_KEEP_PSEUDO_H

#include <sys/stat.h>

#include "sandbox/keep/file.h"
#include "sandbox/keep/kernel.h"

/* A growing text buffer; failed is set (and stays) when memory was short. */
struct strbuf {
    char *s;
    size_t len, cap;
    bool failed;
};
void sb_printf(struct strbuf *sb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sb_put(struct strbuf *sb, const void *data, size_t len);
void sb_free(struct strbuf *sb);
#define _cleanup_sb_ _cleanup_(sb_free)

struct pnode;
struct dentry;

/* All functions get the task on whose behalf; any may be NULL (EINVAL, EACCES, ENOTDIR as fits). */
struct pnode_ops {
    /* Directories. lookup returns 0 with a referenced *ret, or -ENOENT. */
    int (*lookup)(struct task *t, struct pnode *dir, const char *name, struct pnode **ret);
    int (*iterate)(struct task *t, struct pnode *dir, off_t *pos, struct dir_context *ctx);
    /* Symlinks: the text (0-terminated) into buf; returns its length or -errno. */
    long (*readlink)(struct task *t, struct pnode *n, char *buf, size_t size);
    /* "Magic" links (/proc/self/fd/N, exe, cwd, root): the object itself, without a path walk. */
    int (*follow)(struct task *t, struct pnode *n, struct dentry **ret);
    /* Magic links to files without a dentry (pipes, sockets): re-opens them. -ENXIO for what cannot be. */
    int (*open_link)(struct task *t, struct pnode *n, int flags, struct file **ret);
    /* Regular files: show makes the whole text at the first read (or after a seek to 0); write takes a chunk. */
    int (*show)(struct task *t, struct pnode *n, struct strbuf *sb);
    ssize_t (*write)(struct task *t, struct pnode *n, const char *data, size_t len, off_t pos);
    /* Full control instead of show (devices, ttys): returns a file. */
    int (*open)(struct task *t, struct pnode *n, int flags, struct file **ret);
    int (*setattr)(struct task *t, struct pnode *n, const struct stat *st, unsigned mask);
    void (*release)(struct pnode *n);
};

struct pnode {
    atomic_int refs;
    const struct pnode_ops *ops;
    mode_t mode; /* type and permissions */
    uid_t uid;
    gid_t gid;
    dev_t rdev;
    uint64_t ino;
    struct pnode *parent; /* a reference; the file system's root: itself, not counted */
    char name[64];        /* in its parent; long names are truncated in paths only */
    void *priv;
    uint64_t key;         /* for small keys (a pid, an fd) */
};

struct pnode *pnode_new(const struct pnode_ops *ops, mode_t mode, struct pnode *parent, const char *name);
struct pnode *pnode_get(struct pnode *n);
void pnode_put(struct pnode *n);

/* File systems by type name: makes the root node. */
struct pseudo_fs {
    const char *type;
    long magic; /* statfs f_type */
    int (*mount)(struct container *c, const char *options, struct pnode **ret_root);
};
const struct pseudo_fs *pseudo_fs_find(const char *type); /* NULL: no such one */

/* Opens a node as a file (show/write ones through the common text file). */
int pnode_open(struct task *t, struct pnode *n, int flags, struct file **ret);

#endif
