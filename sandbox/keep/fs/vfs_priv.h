/* What the files of the VFS share among themselves: walks, mounts, host files. */
#ifndef BAILEY_KEEP_VFS_PRIV_H
#define BAILEY_KEEP_VFS_PRIV_H

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/fs/fs_struct.h"
#include "sandbox/keep/kernel.h"
#include "sandbox/keep/pseudo/pseudo.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/fs/vfs.h"

/* Mounts ---------------------------------------------------------------------------------------------------
 */

#define FIRST_MOUNT_ID 20

enum mount_flag {
    MOUNT_REAL = 1,   /* the host did it: listed only, never walked by us */
    MOUNT_SAME = 2,   /* the tree below the mount point, seen through other flags (read-only paths) */
    MOUNT_MASK = 4,   /* hides a pseudo node by an empty file or directory of its kind */
    MOUNT_COVERS = 8, /* what it hides is not empty, so the host must not walk past it */
    MOUNT_FILE = 16,  /* its root is not a directory */
};

/* A host object's identity. Two mounts of one file system differ in the mount id. */
struct host_id {
    dev_t dev;
    uint64_t ino, mnt_id;
};

struct mount {
    atomic_int refs;           /* dentries (but its own root), the table */
    struct mount *next, *prev; /* utlist: the table */
    int id;
    struct mount *parent; /* a reference; NULL for the first */
    unsigned kind;        /* enum mount_flag */
    unsigned long flags;  /* MS_* */
    struct dentry *root;  /* NULL for MOUNT_REAL, MOUNT_SAME, MOUNT_MASK */
    struct dentry
        *point;  /* what it covers; NULL on pseudo nodes that were not looked up (mounts made at start) */
    char *inner; /* on pseudo nodes: the path of what it covers within its parent, "/a/b" */
    struct host_id *above; /* the host directories above point, up to its mount's root */
    unsigned nabove;
    bool above_any; /* not known which: take every directory of parent for one */
    char *target;   /* as the container's root sees it */
    char *fstype, *source, *options;
    char *real_root; /* what mountinfo shows as the root within the file system */
    const struct pseudo_fs *fs;
    dev_t dev;
    uint64_t host_id;          /* the host's mount id, 0 unknown */
    char *host_prefix;         /* the host's path of root, for those that are not main's */
    struct scratch *scratch;   /* a tmpfs that a guest made: a reference; or NULL */
    unsigned long propagation; /* MS_SHARED, MS_UNBINDABLE; 0: private */
    unsigned master;           /* the host's peer group that it is a slave of, or 0 */
    int group;                 /* of MS_SHARED mounts: peers have the same */
    int origin; /* of a mount that went to a shared mount's peers too: all of them have it; or 0 */
};

struct mount_ns {
    struct mount_ns *next; /* kernel.orphan_mounts */
    pthread_rwlock_t lock;
    struct mount *mounts;   /* in mount order; the first is main */
    struct mount *detached; /* out of the table, but maybe still in use */
    struct mount *main; /* every real mount of the keep's mount namespace: the host walks them as one tree */
    struct container *container;
    atomic_uint generation;
    atomic_bool covering; /* some mount COVERS */
    atomic_bool deep;     /* a directory above some mount can be renamed; */
    atomic_bool moved;    /* and some directory was: no text tells any more where mounts are */
    bool magic;           /* a host procfs is among the real mounts */
    bool slaves;          /* mounts of the host may appear later, which are not nodev */
    int next_id, next_minor;
};

struct mount *mount_get(struct mount *m);
void mount_put(struct mount *m);

/* If something is mounted on *d, replaces *d by the root of the topmost mount there (moving the reference).
 */
int mount_cross(struct task *t, struct mount_ns *ns, struct dentry **d);
/* Cheap: false if no mount point is this host object. */
bool mount_maybe(struct mount_ns *ns, dev_t dev, uint64_t ino);
/* For a pseudo directory: the mount at dir/name, a reference, or NULL. */
struct mount *mount_on_pseudo(struct mount_ns *ns, struct dentry *dir, const char *name);
/* True if d, a host directory, has a mount point somewhere below it. Cached in d. */
bool mount_above(struct mount_ns *ns, struct dentry *d);
/* True if name in d is a mount point. */
bool mount_is_point(struct mount_ns *ns, struct dentry *dir, const char *name);
/* True if path, taken from the main root without following links, touches a mount point. */
bool mount_lexical(struct mount_ns *ns, const char *path);
/* The main tree's object with this identity is a mount point: the root on it (a reference), else NULL. */
struct dentry *mount_root_at(struct mount_ns *ns, const struct statx *stx);
/* The mount id that the guest sees for an object on host mount host_id. */
int mount_visible_id(struct mount_ns *ns, const struct dentry *d, uint64_t host_id);
/* The mount of the table that d is on: d->mnt, or among main's one of the real ones. No reference. */
struct mount *mount_listed(struct mount_ns *ns, struct dentry *d);
/* m was mounted by t on point: if that is in a shared mount, its peers get it, too (mount_peers.c). */
void mount_propagate(struct task *t, struct mount_ns *ns, struct mount *m, struct dentry *point);
/* The same mount on a peer of what m is mounted on, a reference, or NULL: umount(2) takes them all. */
struct mount *mount_twin(struct mount_ns *ns, const struct mount *m);
/* One more of a mount, without a place yet: NULL: no memory. */
struct mount *mount_clone(struct mount_ns *ns, const struct mount *src, struct dentry *from);
/* Below a mounted root, or at one: the place of the mount in its parent. A reference; NULL for main. */
struct dentry *mount_leave(struct task *t, struct mount *m);
/* A new mount, not in the table yet; parent gets a reference. NULL: no memory. Strings are copied. */
struct mount *mount_new(struct mount_ns *ns, struct mount *parent, const char *fstype, const char *source,
                        const char *options, unsigned long flags);
/* d becomes m's root (the reference is taken over). */
void mount_set_root(struct mount *m, struct dentry *d);
/* Notes where m stands (point: a reference is taken) and puts it into the table. target: as the container's
 * root sees it. */
int mount_attach(struct mount_ns *ns, struct mount *m, struct dentry *point, const char *target);
void mount_detach(struct mount_ns *ns, struct mount *m);
/* Frees what was detached and is not in use any more. */
void mount_collect(struct mount_ns *ns);
/* True if the host directory has entries. */
bool mount_dir_has_entries(int fd);
/* The path of d as the container's root sees it. */
int dentry_path_abs(struct dentry *d, char *buf, size_t size);
bool mount_readonly(const struct dentry *d);
/* The mounts as they are now, each with a reference, in an array to be freed. NULL (*n 0): no memory. */
struct mount **mount_snapshot(struct mount_ns *ns, unsigned *n);
/* True if d is the scratch area itself, which no guest may reach. */
bool mount_is_scratch(struct dentry *d);
/* A directory of the scratch area: a tmpfs, which is emptied and removed with its last mount. */
struct scratch {
    atomic_int refs;
    char name[16]; /* below kernel.scratch_fd */
};
/* A new one, made, with one reference; NULL with errno. NULL is fine for the others. */
struct scratch *scratch_new(void);
struct scratch *scratch_get(struct scratch *s);
void scratch_put(struct scratch *s);
/* An empty file or directory. */
struct pnode *mask_node(bool dir);

/* Dentries -------------------------------------------------------------------------------------------------
 */

/* New references with one count. fd, node, file are taken over, on failure too (NULL: no memory). */
struct dentry *dentry_host(struct mount *m, int fd);
struct dentry *dentry_pseudo(struct mount *m, struct pnode *n);
#define DENTRY_IDENTITY (STATX_TYPE | STATX_INO | STATX_MNT_ID | STATX_BTIME) /* what is asked for it */
/* Fills type, dev, ino, mnt_id. 0 or -errno. */
int dentry_identity(struct dentry *d);
void dentry_set_identity(struct dentry *d, const struct statx *stx);
mode_t dentry_type(struct dentry *d);
/* procfs says ENOENT where other file systems that take no new names say EACCES or EPERM. */
bool dentry_in_proc(const struct dentry *d);
bool dentry_same(struct dentry *a, struct dentry *b);
/* "PID/fd/N": with kernel.procfd, a name for the object behind d->fd. */
void dentry_procname(const struct dentry *d, char buf[40]);
int dentry_statx(struct task *t, struct dentry *d, unsigned mask, struct statx *stx);
int dentry_statfs(struct task *t, struct dentry *d, struct statfs *sf);
/* Mode bits of a pseudo node against ids and capabilities: 0 or -EACCES. cred NULL: the keep itself, all
 * allowed. */
int pseudo_access(struct task *t, struct pnode *n, int mask, bool real_ids);
/* The path of a pseudo node within its file system: "/" or "/a/b". */
int pseudo_path(const struct pnode *n, char *buf, size_t size);
void stat_from_statx(struct stat *st, const struct statx *stx);
void statx_from_stat(struct statx *stx, const struct stat *st);
/* As vfs_assume with the ids of access(2). The next vfs_assume switches back. */
void vfs_assume_real(const struct task *t);

/* Walks ----------------------------------------------------------------------------------------------------
 */

#define WALK_SLOW 1 /* internal: the host can not answer; walk by components */

enum walk_flag {
    WALK_FOLLOW = LOOKUP_FOLLOW,
    WALK_DIRECTORY = LOOKUP_DIRECTORY,
    WALK_EMPTY = LOOKUP_EMPTY,
    WALK_PARENT = 16, /* stop before the last component */
    WALK_CREATE = 32, /* a missing last component is no error */
    WALK_MAGIC = 64,  /* hand out a final magic link itself */
};

/* A path and where it starts. */
struct walk {
    struct task *t; /* NULL while a container is set up */
    struct mount_ns *ns;
    struct dentry *root, *base; /* references */
    const char *path, *rel;     /* as given; from base on, without leading slash */
    bool self;                  /* the path is base itself */
    bool host;                  /* the host may walk it in one go */
    bool plain;                 /* ... by any *at call: its root is the task's, nothing in between is ours */
    bool certain;               /* without symlinks on the way, the host's word is final */
    bool straight;              /* walk_parent: neither on the way nor at the last name is anything of ours */
    size_t dir;                 /* walk_parent, where straight: how much of rel is the directory */
    uint64_t resolve;           /* RESOLVE_* for openat2 */
    uint64_t refuse;            /* RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS: links that are ELOOP */
};

struct walked {
    struct dentry *parent; /* WALK_PARENT, and WALK_CREATE when child is NULL: a reference */
    struct dentry *child;  /* a reference */
    char last[258];        /* the last component; room for a slash to be added */
    bool trailing;         /* slashes followed it */
};

/* Finds where path begins: at t's root, its directory, or dfd's, as openat(2). 0, -ENOENT (an empty path
 * without WALK_EMPTY), -EBADF, -ENOTDIR. path must stay until walk_end, which is to follow on success only.
 */
int walk_begin(struct walk *w, struct task *t, int dfd, const char *path, unsigned flags);
/* As walk_begin, where there is no task: base NULL is root. Takes no references over. */
int walk_begin_at(struct walk *w, struct mount_ns *ns, struct dentry *root, struct dentry *base,
                  const char *path);
void walk_end(struct walk *w);
#define _cleanup_walk_ _cleanup_(walk_end)

/* After a host call on (base->fd, rel) failed with err: the error to report, or WALK_SLOW. */
int walk_failed(struct walk *w, int err);
/* The object; the parent of the last component (its name may hold a trailing slash, for the host to judge).
 */
int walk_lookup(struct walk *w, unsigned flags, struct dentry **ret);
int walk_parent(struct walk *w, struct dentry **parent, char last[258], bool *trailing);
/* As walk_parent, if w's parent is the one that walk_parent gave for `of` by the very same text; else
 * WALK_SLOW. */
int walk_sibling(struct walk *w, const struct walk *of, struct dentry *dir, struct dentry **parent,
                 char last[258], bool *trailing);
int walk_slow(struct walk *w, unsigned flags, struct walked *out);
void walked_clear(struct walked *out);

/* openat2(2), which the C library does not have: a descriptor or -errno. */
int sys_openat2_raw(int dfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
/* The next component of a path (past slashes) and its length, 0 at the end. */
static inline const char *path_component(const char *p, size_t *len)
{
    while (*p == '/')
        p++;
    *len = strcspn(p, "/");
    return p;
}

static inline bool path_is_dot(const char *p, size_t len)
{
    return len == 1 && p[0] == '.';
}

static inline bool path_is_dotdot(const char *p, size_t len)
{
    return len == 2 && p[0] == '.' && p[1] == '.';
}

/* Lexical rules, for tests: does rel leave its start by ".."? */
bool path_climbs(const char *rel);
/* Does path (from the root), normalised step by step, touch target ("/a/b")? */
bool path_touches(const char *path, const char *target);

/* Files of the host ----------------------------------------------------------------------------------------
 */

#define HOST_OPEN_FLAGS                                                                                      \
    (O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_DSYNC | O_SYNC | O_DIRECT | O_DIRECTORY |         \
     O_NOFOLLOW | O_NOATIME | O_TMPFILE)
#define HOST_OPEN_ALWAYS (O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

/* Makes a file of a descriptor that was just opened (taken over), by its type. */
int hostfs_file(struct task *t, struct mount *m, int fd, int flags, struct file **ret);
/* The same for one that the open has made, by O_EXCL: a regular file, of which the host need not be asked.
 * not_exec: as in struct file. */
int hostfs_new_file(struct mount *m, int fd, int flags, uint64_t not_exec, struct file **ret);
/* Opens an object again, with new flags. */
int hostfs_reopen(struct task *t, struct dentry *d, int flags, struct file **ret);
int hostfs_path_file(struct dentry *d, int flags, struct file **ret); /* O_PATH; takes a reference */
/* FIFOs: fifo_open may block, as open(2) does for want of the other end. */
int fifo_open(struct task *t, struct dentry *d, int flags, struct file **ret);
int fifo_file(struct task *t, struct mount *m, int fd, int flags, struct file **ret);
bool hostfs_is_dir(const struct file *f);
/* A procfs of the host that the container was given: is fd in one; may a guest open what d is there? 0 or
 * -EACCES. */
bool host_procfs(int fd);
int host_procfs_check(struct dentry *d, int flags);
/* Opening an existing object of the keep's own file systems. */
int pseudo_open(struct task *t, struct dentry *d, int flags, struct file **ret);

/* State that hangs off the kernel
 * ---------------------------------------------------------------------------- */

/* Device nodes made by guests. device_patch changes what stat said of the file that stands for one;
 * device_dirent_type corrects getdents' type; device_make is mknodat: 0 or -errno. */
bool device_any(void);
void device_patch(struct statx *stx);
unsigned char device_dirent_type(uint64_t ino, unsigned char type);
int device_make(int dir, const char *name, mode_t mode, dev_t rdev);

struct device_node;
struct fifo_waiter;
struct lock_inode;

struct vfs_state {
    pthread_mutex_t umount_lock; /* outside all others: one umount at a time */
    pthread_mutex_t fifo_lock;   /* leaf */
    struct fifo_waiter *fifo_waiters;
    struct lock_inode *locks; /* tasklist_lock */
    atomic_int nlocks;
    pthread_mutex_t device_lock; /* leaf */
    struct device_node *devices;
    atomic_int ndevices;
};
int vfs_init(void);

/* The locks of owner on f's file go: what file_locks_closed does for a table, at a file's end for its OFD
 * locks. */
void file_locks_drop(const void *owner, struct file *f);
mode_t task_umask(struct task *t);

#endif
