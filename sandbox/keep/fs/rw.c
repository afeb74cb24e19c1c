/* read, write and their family, and lseek.
 *
 * Regular files are lanes: once it pays, the host runs the call on its own descriptor at the same number.
 * Only registers and the guest's own buffers matter to it, so there is nothing to race for. */
#include <limits.h>
#include <linux/fs.h>

#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/fs/hostio.h"
#include "sandbox/keep/lanes/kept.h"
#include "sandbox/keep/signal/signalfd.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/fs/vfs.h"

#define MAX_RW_COUNT 0x7ffff000UL
#define NO_POS ((off_t)-1) /* use and advance the file's own position */

enum direction { DIR_READ, DIR_WRITE };

struct transfer {
    struct task *t;
    struct file *f;
    const struct sysargs *a;
    enum direction dir;
    off_t pos;
    int rwf; /* RWF_* */
};

static int mode_check(struct file *f, enum direction dir)
{
    unsigned acc = atomic_load_explicit(&f->flags, memory_order_relaxed) & O_ACCMODE;
    if (dir == DIR_READ)
        return acc == O_RDONLY || acc == O_RDWR ? 0 : -EBADF;
    return acc == O_WRONLY || acc == O_RDWR ? 0 : -EBADF;
}

/* The host may run the call. A limit on file sizes is the host's to enforce, and memory is to be counted as
 * the guest's: so then it does run the writes. */
static bool lane_takes(struct transfer *x, int fd, size_t len)
{
    bool own = x->dir == DIR_WRITE &&
               (x->f->ops->in_memory || x->t->process->rlim[RLIMIT_FSIZE].rlim_cur != RLIM_INFINITY);
    struct stat st;
    if (own)
        len = SIZE_MAX;
    else if (x->dir == DIR_READ && len >= LANE_BYTES && (x->f->kind & FILE_LANE) &&
             fstat(x->f->hostfd, &st) == 0 && st.st_size < LANE_BYTES)
        len = 0; /* a large buffer for a small file */
    return x->t->used_lane = lane_ready(x->t, x->a, fd, x->f, len);
}

static ssize_t lane_transfer(struct transfer *x, struct uio *u)
{
    const off_t *pos = x->pos == NO_POS ? NULL : &x->pos;
    if (x->dir == DIR_READ)
        return lane_read(x->f, u, pos, x->rwf);
    int r = vfs_begin_write(x->t, x->f, x->pos, u);
    return r < 0 ? r : lane_write(x->f, u, pos, x->rwf);
}

/* The keep's own transfer. */
static ssize_t transfer_here(struct transfer *x, struct uio *u)
{
    struct file *f = x->f;
    if (f->kind & FILE_LANE)
        return lane_transfer(x, u);
    if (f->kind & FILE_DIR)
        return x->dir == DIR_READ ? -EISDIR : -EBADF;
    if (x->rwf & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC))
        return -EOPNOTSUPP;
    ssize_t (*fn)(struct task *, struct file *, struct uio *, off_t *) =
        x->dir == DIR_READ ? f->ops->read : f->ops->write;
    if (!fn)
        return -EINVAL;
    if (x->pos != NO_POS)
        return fn(x->t, f, u, &x->pos);
    if (!(f->kind & FILE_SEEKABLE))
        return fn(x->t, f, u, NULL);
    LOCKED(&f->pos_lock);
    return fn(x->t, f, u, &f->pos);
}

ssize_t file_transfer(struct task *t, struct file *f, bool write, off_t pos, int rwf, struct uio *u)
{
    struct transfer x = {.t = t, .f = f, .dir = write ? DIR_WRITE : DIR_READ, .pos = pos, .rwf = rwf};
    if (!(f->kind & (FILE_SEEKABLE | FILE_LANE)))
        x.pos = NO_POS;
    return transfer_here(&x, u);
}

static ssize_t transfer(struct transfer *x, int fd, struct uio *u)
{
    ssize_t n = transfer_here(x, u);
    if (n > 0)
        x->t->used_lane = x->f->kind & FILE_PLAIN
                              ? kept_serves(x->t, fd)
                              : lane_stream(x->t, x->a, fd, x->f) ||
                                    (x->dir == DIR_READ && signalfd_was_read(x->t, x->a, fd, x->f));
    return n;
}

static long rw_one(struct task *t, const struct sysargs *a, enum direction dir, bool positioned)
{
    int fd = (int)a->arg[0];
    size_t len = a->arg[2];
    struct transfer x = {.t = t, .a = a, .dir = dir, .pos = positioned ? (off_t)a->arg[3] : NO_POS};
    if (positioned && x.pos < 0)
        return -EINVAL;
    _cleanup_file_ struct file *f = x.f = fd_get(t, fd);
    if (!f)
        return -EBADF;
    if (positioned && !(f->kind & FILE_SEEKABLE))
        return -ESPIPE;
    if (mode_check(f, dir) < 0)
        return -EBADF;
    if (!a->listener && !(f->kind & (FILE_LANE | FILE_SEEKABLE))) /* no place to wait */
        return -ERESTARTNOINTR;
    if ((ssize_t)len < 0)
        return -EINVAL;
    if (lane_takes(&x, fd, len))
        return SYS_CONTINUE;
    struct uio u;
    uio_init_one(&u, t, a->arg[1], len < MAX_RW_COUNT ? len : MAX_RW_COUNT);
    return transfer(&x, fd, &u);
}

static long rw_vec(struct task *t, const struct sysargs *a, enum direction dir, off_t pos, int rwf)
{
    int fd = (int)a->arg[0];
    struct transfer x = {.t = t, .a = a, .dir = dir, .pos = pos, .rwf = rwf};
    if (pos < NO_POS)
        return -EINVAL;
    _cleanup_file_ struct file *f = x.f = fd_get(t, fd);
    if (!f)
        return -EBADF;
    if (pos != NO_POS && !(f->kind & FILE_SEEKABLE))
        return -ESPIPE;
    if (mode_check(f, dir) < 0)
        return -EBADF;
    struct uio u;
    int r = uio_init_vec(&u, t, a->arg[1], a->arg[2]);
    if (r < 0)
        return r;
    long n = lane_takes(&x, fd, u.resid) ? SYS_CONTINUE : transfer(&x, fd, &u);
    uio_done(&u);
    return n;
}

long sys_read(struct task *t, const struct sysargs *a)
{
    return rw_one(t, a, DIR_READ, false);
}

long sys_write(struct task *t, const struct sysargs *a)
{
    return rw_one(t, a, DIR_WRITE, false);
}

long sys_pread64(struct task *t, const struct sysargs *a)
{
    return rw_one(t, a, DIR_READ, true);
}

long sys_pwrite64(struct task *t, const struct sysargs *a)
{
    return rw_one(t, a, DIR_WRITE, true);
}

long sys_readv(struct task *t, const struct sysargs *a)
{
    return rw_vec(t, a, DIR_READ, NO_POS, 0);
}

long sys_writev(struct task *t, const struct sysargs *a)
{
    return rw_vec(t, a, DIR_WRITE, NO_POS, 0);
}

long sys_preadv(struct task *t, const struct sysargs *a)
{
    off_t pos = (off_t)a->arg[3];
    return pos < 0 ? -EINVAL : rw_vec(t, a, DIR_READ, pos, 0);
}

long sys_pwritev(struct task *t, const struct sysargs *a)
{
    off_t pos = (off_t)a->arg[3];
    return pos < 0 ? -EINVAL : rw_vec(t, a, DIR_WRITE, pos, 0);
}

long sys_preadv2(struct task *t, const struct sysargs *a)
{
    return rw_vec(t, a, DIR_READ, (off_t)a->arg[3], (int)a->arg[5]);
}

long sys_pwritev2(struct task *t, const struct sysargs *a)
{
    return rw_vec(t, a, DIR_WRITE, (off_t)a->arg[3], (int)a->arg[5]);
}

/* For files of the keep that have no llseek of their own. pos_lock held. */
static off_t seek_generic(struct task *t, struct file *f, off_t off, int whence)
{
    off_t base = 0;
    if (whence == SEEK_CUR) {
        base = f->pos;
    } else if (whence == SEEK_END) {
        struct stat st;
        if (!f->ops->stat || f->ops->stat(t, f, &st) < 0)
            return -EINVAL;
        base = st.st_size;
    } else if (whence != SEEK_SET) {
        return -EINVAL;
    }
    off_t now;
    if (__builtin_add_overflow(base, off, &now))
        return -EOVERFLOW;
    if (now < 0)
        return -EINVAL;
    return f->pos = now;
}

long sys_lseek(struct task *t, const struct sysargs *a)
{
    off_t off = (off_t)a->arg[1];
    int whence = (int)a->arg[2];
    _cleanup_file_ struct file *f = fd_get(t, (int)a->arg[0]);
    if (!f)
        return -EBADF;
    if (whence < SEEK_SET || whence > SEEK_HOLE)
        return -EINVAL;
    if (!(f->kind & FILE_SEEKABLE) && !f->ops->llseek)
        return -ESPIPE;
    if (f->kind & FILE_LANE) {
        t->used_lane = lane_plain(t, a, (int)a->arg[0], f);
        off_t r = lseek(f->hostfd, off, whence);
        return r < 0 ? -errno : r;
    }
    LOCKED(&f->pos_lock);
    return f->ops->llseek ? f->ops->llseek(t, f, off, whence) : seek_generic(t, f, off, whence);
}
