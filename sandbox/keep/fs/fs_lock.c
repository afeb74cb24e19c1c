/* Record locks, the keep's own (see locks.h), and flock, which is the host's. */
#include "sandbox/keep/fs/locks.h"

#include <linux/fs.h>
#include <sys/file.h>

#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/signal/signal.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/fs/vfs_priv.h"

#define LOCK_MAX_END INT64_MAX
#define MAX_LOCKS 65536 /* of a sandbox: a guest must not eat the keep's memory */

struct lock {
    struct lock *next, *prev; /* utlist */
    const void *owner;        /* descriptor table, or file (OFD) */
    pid_t pid;                /* -1: OFD */
    short type;
    int64_t start, end; /* inclusive */
};

struct lock_waiter {
    struct lock_waiter *next, *prev;
    const void *owner, *blocker;
};

/* One file with locks or waiters. */
struct lock_inode {
    struct lock_inode *next, *prev;
    dev_t dev;
    uint64_t ino;
    struct lock *locks;
    struct lock_waiter *waiters;
    unsigned nwaiters;
    pthread_cond_t changed;
};

/* Which file, and the offsets that whence is about. */
static int file_key(struct file *f, dev_t *dev, uint64_t *ino)
{
    struct stat st;

    if (f->dentry && f->dentry->node) {
        *dev = f->dentry->mnt ? f->dentry->mnt->dev : 0;
        *ino = f->dentry->node->ino;
        return 0;
    }
    if (f->dentry && f->dentry->fd >= 0 && dentry_identity(f->dentry) == 0) {
        *dev = f->dentry->dev;
        *ino = f->dentry->ino;
        return 0;
    }
    if (f->hostfd < 0 || fstat(f->hostfd, &st) != 0)
        return -EINVAL;
    *dev = st.st_dev;
    *ino = st.st_ino;
    return 0;
}

static struct lock_inode *inode_find(dev_t dev, uint64_t ino)
{
    struct lock_inode *i;

    DL_FOREACH(kernel.vfs->locks, i)
    if (i->ino == ino && i->dev == dev)
        return i;
    return NULL;
}

static struct lock_inode *inode_make(dev_t dev, uint64_t ino)
{
    struct lock_inode *i = inode_find(dev, ino);

    if (i || !(i = calloc(1, sizeof(*i))))
        return i;
    i->dev = dev;
    i->ino = ino;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&i->changed, &attr);
    pthread_condattr_destroy(&attr);
    DL_APPEND(kernel.vfs->locks, i);
    return i;
}

static void inode_settle(struct lock_inode *i)
{
    if (i->locks || i->nwaiters)
        return;
    DL_DELETE(kernel.vfs->locks, i);
    pthread_cond_destroy(&i->changed);
    free(i);
}

static struct lock *conflict(struct lock_inode *i, const struct lock *want)
{
    struct lock *l;

    DL_FOREACH(i->locks, l)
    if (l->owner != want->owner && l->start <= want->end && want->start <= l->end &&
        (l->type == F_WRLCK || want->type == F_WRLCK))
        return l;
    return NULL;
}

/* As Linux orders them, and F_GETLK tells the first of several: by owner, and each owner's by where they
 * begin. */
static void lock_add(struct lock_inode *i, struct lock *l)
{
    struct lock *o, *after = NULL;

    DL_FOREACH(i->locks, o)
    {
        if (o->owner == l->owner && o->start > l->start)
            break;
        if (o->owner == l->owner)
            after = o;
        else if (after)
            break;
    }
    if (o)
        DL_PREPEND_ELEM(i->locks, o, l);
    else
        DL_APPEND(i->locks, l);
    atomic_fetch_add(&kernel.vfs->nlocks, 1);
}

static void lock_drop(struct lock_inode *i, struct lock *l)
{
    DL_DELETE(i->locks, l);
    free(l);
    atomic_fetch_sub(&kernel.vfs->nlocks, 1);
}

/* Takes want's range out of what its owner holds. spare: for the piece that a hole leaves behind; may be
 * used. */
static void cut(struct lock_inode *i, const struct lock *want, struct lock **spare)
{
    struct lock *l, *tmp;

    DL_FOREACH_SAFE(i->locks, l, tmp)
    {
        if (l->owner != want->owner || l->start > want->end || want->start > l->end)
            continue;
        if (l->start < want->start && l->end > want->end) {
            struct lock *tail = steal_ptr(spare);
            *tail = *l;
            tail->start = want->end + 1;
            l->end = want->start - 1;
            lock_add(i, tail);
        } else if (l->start < want->start) {
            l->end = want->start - 1;
        } else if (l->end > want->end) {
            l->start = want->end + 1;
        } else {
            lock_drop(i, l);
        }
    }
}

/* Joins neighbours of the same owner and type, so that a lock grown bit by bit stays one. */
static void join(struct lock_inode *i, struct lock *l)
{
    struct lock *o, *tmp;

    DL_FOREACH_SAFE(i->locks, o, tmp)
    {
        if (o == l || o->owner != l->owner || o->type != l->type)
            continue;
        if (o->end != LOCK_MAX_END && o->end + 1 == l->start)
            l->start = o->start;
        else if (l->end != LOCK_MAX_END && l->end + 1 == o->start)
            l->end = o->end;
        else
            continue;
        lock_drop(i, o);
    }
}

/* No conflict is left: makes the owner's locks be as want says. */
static int apply(struct lock_inode *i, const struct lock *want)
{
    struct lock *spare = malloc(sizeof(*spare)), *fresh = malloc(sizeof(*fresh));

    if (!spare || !fresh || atomic_load(&kernel.vfs->nlocks) >= MAX_LOCKS) {
        free(spare);
        free(fresh);
        return -ENOLCK;
    }
    cut(i, want, &spare);
    if (want->type != F_UNLCK) {
        *fresh = *want;
        lock_add(i, fresh);
        join(i, fresh);
        fresh = NULL;
    }
    free(spare);
    free(fresh);
    pthread_cond_broadcast(&i->changed);
    return 0;
}

static const void *blocker_of(const void *owner)
{
    struct lock_inode *i;
    struct lock_waiter *w;

    DL_FOREACH(kernel.vfs->locks, i)
    DL_FOREACH(i->waiters, w)
    if (w->owner == owner)
        return w->blocker;
    return NULL;
}

/* Would owner waiting for blocker close a circle? */
static bool deadlock(const void *owner, const void *blocker)
{
    for (int n = 0; blocker && n < 64; n++) {
        if (blocker == owner)
            return true;
        blocker = blocker_of(blocker);
    }
    return false;
}

static int wait_for(struct task *t, struct lock_inode *i, const struct lock *want)
{
    struct lock *l;
    int r = 0;

    while (r == 0 && (l = conflict(i, want)) != NULL) {
        struct lock_waiter w = {.owner = want->owner, .blocker = l->owner};
        if (want->pid >= 0 && deadlock(w.owner, w.blocker))
            return -EDEADLK;
        DL_APPEND(i->waiters, &w);
        i->nwaiters++;
        r = task_wait(t, &i->changed, NULL);
        DL_DELETE(i->waiters, &w);
        i->nwaiters--;
    }
    return r;
}

static int64_t where_from(struct task *t, struct file *f, int whence)
{
    struct stat st;

    if (whence == SEEK_CUR)
        return f->kind & FILE_LANE ? lseek(f->hostfd, 0, SEEK_CUR) : f->pos;
    if (whence == SEEK_END && f->dentry && dentry_stat(t, f->dentry, &st) == 0)
        return st.st_size;
    return 0;
}

static int to_range(struct task *t, struct file *f, const struct flock *fl, struct lock *l)
{
    int64_t start;

    if (fl->l_whence < SEEK_SET || fl->l_whence > SEEK_END)
        return -EINVAL;
    if (__builtin_add_overflow(where_from(t, f, fl->l_whence), fl->l_start, &start))
        return -EOVERFLOW;
    int64_t end = LOCK_MAX_END;
    if (fl->l_len > 0 && __builtin_add_overflow(start, fl->l_len - 1, &end))
        return -EOVERFLOW;
    if (fl->l_len < 0) {
        end = start - 1;
        if (__builtin_add_overflow(start, fl->l_len, &start))
            return -EINVAL;
    }
    if (start < 0)
        return -EINVAL;
    l->start = start;
    l->end = end;
    l->type = fl->l_type;
    return 0;
}

static long get_lock(struct task *t, const struct lock *want, dev_t dev, uint64_t ino, struct flock *fl,
                     uaddr_t arg)
{
    {
        LOCKED(&kernel.tasklist_lock);
        struct lock_inode *i = inode_find(dev, ino);
        struct lock *l = i ? conflict(i, want) : NULL;
        fl->l_type = l ? l->type : F_UNLCK;
        if (l) {
            fl->l_whence = SEEK_SET;
            fl->l_start = l->start;
            fl->l_len = l->end == LOCK_MAX_END ? 0 : l->end - l->start + 1;
            fl->l_pid = l->pid;
        }
    }
    return copy_to_user(t, arg, fl, sizeof(*fl));
}

static long set_lock(struct task *t, const struct lock *want, dev_t dev, uint64_t ino, bool wait)
{
    LOCKED(&kernel.tasklist_lock);
    struct lock_inode *i = inode_make(dev, ino);
    int r = i ? 0 : -ENOLCK;

    if (i && want->type != F_UNLCK) {
        if (wait)
            r = wait_for(t, i, want);
        else if (conflict(i, want))
            r = -EAGAIN;
    }
    if (r == 0)
        r = apply(i, want);
    if (i)
        inode_settle(i);
    return r;
}

static int mode_allows(struct file *f, short type)
{
    unsigned acc = atomic_load(&f->flags) & O_ACCMODE;

    switch (type) {
    case F_RDLCK:
        return acc == O_WRONLY ? -EBADF : 0;
    case F_WRLCK:
        return acc == O_RDONLY ? -EBADF : 0;
    default:
        return type == F_UNLCK ? 0 : -EINVAL;
    }
}

/* Whoever closes f last gives the lock back: no close of it may be heard of later (later.h). */
static void file_is_locked(struct file *f)
{
    if (!atomic_exchange(&f->locked, true))
        later_settle();
}

/* The same for all files of t's, any of whose ends may do that. */
static void table_has_locks(struct task *t)
{
    fdtable_note_locks(t->fdt);
    later_forbid_all(t);
}

long file_lock_fcntl(struct task *t, struct file *f, int cmd, uaddr_t arg)
{
    bool ofd = cmd == F_OFD_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;
    bool get = cmd == F_GETLK || cmd == F_OFD_GETLK;
    struct lock want = {.owner = ofd ? (const void *)f : (const void *)t->fdt,
                        .pid = ofd ? -1 : t->process->pid};
    struct flock fl;
    dev_t dev;
    uint64_t ino;

    if (get_user(t, &fl, arg) < 0)
        return -EFAULT;
    if (ofd && fl.l_pid != 0)
        return -EINVAL;
    int r = to_range(t, f, &fl, &want);
    if (r == 0)
        r = file_key(f, &dev, &ino);
    if (r < 0)
        return r;
    if (get)
        return fl.l_type == F_UNLCK && !ofd ? -EINVAL : get_lock(t, &want, dev, ino, &fl, arg);
    r = mode_allows(f, fl.l_type);
    if (r == 0 && ofd)
        file_is_locked(f);
    else if (r == 0)
        table_has_locks(t);
    return r < 0 ? r : set_lock(t, &want, dev, ino, cmd == F_SETLKW || cmd == F_OFD_SETLKW);
}

void file_locks_closed(struct fdtable *owner, struct file *f)
{
    file_locks_drop(owner, f);
}

void file_locks_drop(const void *owner, struct file *f)
{
    struct lock *l, *tmp;
    dev_t dev;
    uint64_t ino;

    if (!kernel.vfs || atomic_load_explicit(&kernel.vfs->nlocks, memory_order_acquire) == 0 ||
        (atomic_load(&f->flags) & O_PATH) || file_key(f, &dev, &ino) < 0)
        return;
    LOCKED(&kernel.tasklist_lock);
    struct lock_inode *i = inode_find(dev, ino);
    if (!i)
        return;
    DL_FOREACH_SAFE(i->locks, l, tmp)
    if (l->owner == owner)
        lock_drop(i, l);
    pthread_cond_broadcast(&i->changed);
    inode_settle(i);
}

/* flock
 * ------------------------------------------------------------------------------------------------------- */

#define FLOCK_WAIT_MIN 1000000L /* ns between two tries */
#define FLOCK_WAIT_MAX 32000000L

/* The host's own blocking flock has no mask argument, so a wake-up just before it would be lost: the lock is
 * asked for now and then, which a signal can always end. */
static long flock_wait(struct task *t, struct file *f, int op)
{
    for (long ns = FLOCK_WAIT_MIN;; ns = ns * 2 < FLOCK_WAIT_MAX ? ns * 2 : FLOCK_WAIT_MAX) {
        struct timespec d;
        int r = host_wait_many(t, NULL, 0, deadline_from(&d, &(struct timespec){.tv_nsec = ns}));
        if (r < 0)
            return r;
        if (flock(f->hostfd, op | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK)
            return -errno;
    }
}

long sys_flock(struct task *t, const struct sysargs *a)
{
    int op = (int)a->arg[1], kind = op & ~LOCK_NB;
    _cleanup_file_ struct file *f = fd_get(t, (int)a->arg[0]);

    if (!f)
        return -EBADF;
    if (kind != LOCK_SH && kind != LOCK_EX && kind != LOCK_UN)
        return -EINVAL;
    if (f->hostfd < 0)
        return 0; /* the keep's own files: nobody else can have this one open to contend */
    file_is_locked(f);
    if (flock(f->hostfd, kind | LOCK_NB) == 0)
        return 0;
    if (errno != EWOULDBLOCK || (op & LOCK_NB))
        return -errno;
    return flock_wait(t, f, kind);
}
