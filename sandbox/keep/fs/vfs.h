/* Names: mounts, path walking, and the objects that paths lead to.
 *
 * A dentry is a handle to one object in the tree: in a host file system it holds an O_PATH descriptor; in one
 * of the keep's own (pseudo.h) a node. A path that stays in real files is walked by the host in one openat2.
 */
#ifndef BAILEY_KEEP_VFS_H
#define BAILEY_KEEP_VFS_H

#include <sys/stat.h>
#include <sys/statfs.h>

#include "sandbox/keep/kernel.h"

struct file;
struct mount;
struct mount_ns;
struct pnode;

struct dentry {
    atomic_int refs;
    struct mount *mnt; /* a reference, unless this is its root */
    int fd; /* host file systems: O_PATH, or the open file itself (file.hostfd == dentry.fd: the dentry
               owns it then); -1 for others */
    struct pnode *node; /* the keep's own file systems */
    struct file *file;  /* neither: a file without a name, reached by a magic link (a reference) */
    /* Of the host object behind fd; immutable, filled at first use (dentry_identity). */
    atomic_bool known;
    bool is_root; /* of mnt */
    mode_t type;  /* S_IFMT bits */
    dev_t dev, rdev;
    uint64_t ino, mnt_id;
    atomic_uint above_gen; /* cache: "is this above a mount point", in which generation of the mount table */
    atomic_bool above;
};

struct dentry *dentry_get(struct dentry *d);
void dentry_put(struct dentry *d);
/* A dentry for a file without a name (what a magic link to a pipe leads to). f's reference is taken over, on
 * failure too (NULL: no memory). */
struct dentry *dentry_file(struct file *f);
static inline void dentry_put_p(struct dentry **d)
{
    if (*d)
        dentry_put(*d);
}
#define _cleanup_dentry_ _cleanup_(dentry_put_p)

enum lookup_flag {
    LOOKUP_FOLLOW = 1,    /* the last component's symlink too */
    LOOKUP_DIRECTORY = 2, /* ENOTDIR otherwise */
    LOOKUP_EMPTY = 4,     /* AT_EMPTY_PATH */
};

/* Walks path for t (from dfd, or the cwd with AT_FDCWD), with the task's permissions, within its root.
 * Returns 0 with *ret (a reference), or -errno. */
int path_lookup(struct task *t, int dfd, const char *path, unsigned flags, struct dentry **ret);
/* Walks to the parent of the last component. last gets its name (NAME_MAX + 1 bytes), *trailing whether a
 * slash followed it.
 * "/" , "." and ".." as last: returned as such for the caller to refuse. */
int path_parent(struct task *t, int dfd, const char *path, struct dentry **ret_parent, char last[256],
                bool *trailing);
/* open(2) as a whole: creation, O_EXCL, O_TRUNC, O_TMPFILE, O_PATH, devices, FIFOs, sockets (ENXIO), ttys. */
int vfs_open(struct task *t, int dfd, const char *path, int flags, mode_t mode, struct file **ret);
/* Opens an object that was already found (an executable, a fchdir target, /proc/self/fd/N). */
int dentry_open(struct task *t, struct dentry *d, int flags, struct file **ret);
int dentry_stat(struct task *t, struct dentry *d, struct stat *st);
/* The id of its mount as mountinfo shows it, for fdinfo and statx. */
int dentry_mount_id(struct task *t, struct dentry *d);
/* Opens it to be executed: by execute permission (already checked), which may be without that to read. */
int dentry_open_exec(struct task *t, struct dentry *d, struct file **ret);
/* MS_* of the mount it is on. */
unsigned long dentry_mount_flags(const struct dentry *d);
/* The permission check of access(2) with the given ids: 0, -EACCES, -EROFS. mask of R_OK, W_OK, X_OK. */
int dentry_access(struct task *t, struct dentry *d, int mask, bool real_ids);
/* The absolute path as seen from t's root; "(unreachable)..." as Linux does; " (deleted)" appended where it
 * is. */
int dentry_path(struct task *t, struct dentry *d, char *buf, size_t size);

/* Runs host file calls of this worker with t's fsuid, fsgid, groups and file capabilities. Cached per worker;
 * every hostfs operation calls it first. */
void vfs_assume(const struct task *t);
/* Back to the keep's own rights (for /proc of the host, memfds ...). */
void vfs_assume_self(void);

/* Before the keep writes to a lane itself for t, at pos (-1: the file's own position): takes on t's rights
 * (set-id bits go by them) and shortens u to what RLIMIT_FSIZE leaves. 0, or -EFBIG with SIGXFSZ sent. */
struct uio;
int vfs_begin_write(struct task *t, struct file *f, off_t pos, struct uio *u);

/* Mounts ---------------------------------------------------------------------------------------------------
 */

enum vfs_kind { VFS_HOST, VFS_PSEUDO };

struct mount_spec {     /* what the runtime hands over, in order; [0] is "/" */
    const char *target; /* absolute in the container */
    const char *type;   /* "proc", "sysfs", "devpts", "mqueue", "cgroup", ...; or what the host mount is:
                           "ext4", "tmpfs", "bind" */
    const char *source;
    const char *options;       /* as mountinfo shows them */
    bool host;                 /* true: a real mount stands there in the keep's mount namespace */
    unsigned long flags;       /* MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, ... */
    const char *root;          /* within its file system, for mountinfo; NULL: "/" */
    unsigned long propagation; /* MS_SHARED, MS_UNBINDABLE: as config.json wants it seen */
    unsigned master;           /* the host's peer group whose mounts appear in it; 0: none */
};

/* Builds a container's mount namespace. rootfd: the container's root directory in the keep's own mount
 * namespace. */
int mount_ns_init(struct container *c, int rootfd, const struct mount_spec *specs, unsigned n);
/* The descriptor of the container's root directory; the container's. */
int mount_ns_root(const struct container *c);
/* Whether a procfs of the host is among the mounts of a tree in another mount namespace than the keep's. */
void mount_ns_note_procfs(struct container *c, bool there);
/* The container is over: what nobody else uses of it is let go. In the control thread. */
void mount_ns_release(struct container *c);
/* Hides masked paths (empty file or directory) and makes others read-only, as far as they exist. After
 * mount_ns_init. Both arrays end with NULL, or are NULL. 0 or -errno. */
int mount_ns_protect(struct container *c, char *const *masked, char *const *readonly);
/* mountinfo(5), mounts and mountstats text for /proc, as who has its root directory at top sees them; NULL:
 * at the top. t asks. */
struct strbuf;
void mount_ns_show(struct task *t, struct mount_ns *ns, struct dentry *top, struct strbuf *sb,
                   bool mountinfo);

#endif
