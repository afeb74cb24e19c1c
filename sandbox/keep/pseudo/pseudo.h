/* The keep's own file systems (proc, sys, devpts, ...): a small node interface, with which vfs.c walks, stats
 * and opens. */
#ifndef BAILEY_KEEP_PSEUDO_H
#define BAILEY_KEEP_PSEUDO_H

#include <sys/stat.h>

#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/kernel.h"
#include "sandbox/keep/strbuf.h"

struct pnode;
struct dentry;
struct proc_who;

/* All functions get the task on whose behalf; any may be NULL (EINVAL, EACCES, ENOTDIR as fits). */
struct pnode_ops {
    /* Directories. lookup returns 0 with a referenced *ret, or -ENOENT. iterate starts at *pos 2 ("." and
     * ".." are emitted for it) and returns 0 at the end, 1 when the receiver has enough, or -errno. */
    int (*lookup)(struct task *t, struct pnode *dir, const char *name, struct pnode **ret);
    int (*iterate)(struct task *t, struct pnode *dir, off_t *pos, struct dir_context *ctx);
    /* Symlinks: the text (0-terminated) into buf; returns its length or -errno. */
    long (*readlink)(struct task *t, struct pnode *n, char *buf, size_t size);
    /* "Magic" links (/proc/self/fd/N, exe, cwd, root): the object itself, without a path walk. */
    int (*follow)(struct task *t, struct pnode *n, struct dentry **ret);
    /* Magic links to files without a dentry (pipes, sockets): re-opens them. -ENXIO for what cannot be. */
    int (*open_link)(struct task *t, struct pnode *n, int flags, struct file **ret);
    /* Regular files: show makes the whole text at the first read (or after a seek to 0); write takes a chunk.
     */
    int (*show)(struct task *t, struct pnode *n, struct strbuf *sb);
    ssize_t (*write)(struct task *t, struct pnode *n, const char *data, size_t len, off_t pos);
    /* Full control instead of show (devices, ttys): returns a file. */
    int (*open)(struct task *t, struct pnode *n, int flags, struct file **ret);
    /* mask of STATX_MODE, STATX_UID, STATX_GID, STATX_ATIME, STATX_MTIME; the right to do it is checked
     * already. */
    int (*setattr)(struct task *t, struct pnode *n, const struct stat *st, unsigned mask);
    /* Asked before the mode bits: 0 allowed, -EACCES, or 1: let the mode bits decide. NULL: the mode bits. */
    int (*permission)(struct task *t, struct pnode *n, int mask);
    void (*release)(struct pnode *n);
};

/* One line of a directory whose names are known beforehand; an array ends with a NULL name. The node made of
 * it works by `ops`, or if that is NULL by its type: `dir` for directories, `text` for symlinks, `show` and
 * `write` for files (`text` where show is NULL). The functions are as those of pnode_ops; show_who is for the
 * ops of proc's files of a process, which find whom the node is about. */
struct pentry {
    const char *name;
    mode_t mode; /* with the type */
    const struct pnode_ops *ops;
    const struct pentry *dir;
    int (*show)(struct task *t, struct pnode *n, struct strbuf *sb);
    int (*show_who)(struct task *t, const struct proc_who *w, struct strbuf *sb);
    ssize_t (*write)(struct task *t, struct pnode *n, const char *data, size_t len, off_t pos);
    const char *text;
    uint64_t key; /* goes into the node's */
    dev_t rdev;
};

struct pnode {
    atomic_int refs;
    const struct pnode_ops *ops;
    const struct pentry *entry; /* NULL: not made of one */
    mode_t mode;                /* type and permissions */
    uid_t uid;
    gid_t gid;
    dev_t rdev;
    uint64_t ino;
    struct pnode *parent; /* a reference; the file system's root: itself, not counted */
    char name[64];        /* in its parent; long names are truncated in paths only */
    void *priv;
    uint64_t key; /* for small keys (a pid, an fd) */
};

/* A node with one reference, owned by its parent's owner. ino is made of the parent's and the name: the same
 * name has the same number at every lookup. parent NULL: a root. NULL: no memory. */
struct pnode *pnode_new(const struct pnode_ops *ops, mode_t mode, struct pnode *parent, const char *name);
struct pnode *pnode_get(struct pnode *n);
void pnode_put(struct pnode *n);

static inline void pnode_put_p(struct pnode **n)
{
    if (*n)
        pnode_put(*n);
}
#define _cleanup_pnode_ _cleanup_(pnode_put_p)

/* A node made of an entry. 0 or -ENOMEM. */
int pentry_node(const struct pentry *e, struct pnode *parent, struct pnode **ret);
/* The inode number that a child of that name has. */
uint64_t pnode_child_ino(const struct pnode *parent, const char *name);
/* lookup and iterate over an array of entries; iterate counts from *pos == first. Returns 0 at the end, 1
 * when the receiver has enough. */
int pentry_lookup(const struct pentry *dir, struct pnode *parent, const char *name, struct pnode **ret);
int pentry_iterate(const struct pentry *dir, struct pnode *parent, off_t *pos, off_t first,
                   struct dir_context *ctx);
/* The ops of plain directories made of entries, for use as a root's. */
extern const struct pnode_ops pentry_dir_ops;
/* The write of files made of entries, for ops that add something to it. */
ssize_t pentry_write(struct task *t, struct pnode *n, const char *data, size_t len, off_t pos);

/* File systems by type name: makes the root node. */
struct pseudo_fs {
    const char *type;
    long magic; /* statfs f_type */
    int (*mount)(struct container *c, const char *options, struct pnode **ret_root);
};
/* NULL: no such one. What is "cgroup" depends on the options and the container. */
const struct pseudo_fs *pseudo_fs_find(const struct container *c, const char *type, const char *options);

/* lseek(2) of text files without an end: file_ops.llseek. */
off_t pseudo_llseek(struct task *t, struct file *f, off_t off, int whence);

/* Opens a node as a file (show/write ones through the common text file). */
int pnode_open(struct task *t, struct pnode *n, int flags, struct file **ret);

#endif
