/* sendfile, splice, tee, vmsplice: the host's own calls where both ends are host descriptors, else by way of
 * a buffer.
 */
#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "sandbox/gate/mailbox.h"
#include "sandbox/keep/device/chrdev.h"
#include "sandbox/keep/fs/hostio.h"
#include "sandbox/keep/signal/signal.h"
#include "sandbox/keep/net/sock.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/platform/listener.h"

#define MAX_RW_COUNT 0x7ffff000UL
#define STEP (HOSTIO_CHUNK * 16) /* a call of the host's, within which nobody can be told to end */
#define SPLICE_FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)

struct mover {
    struct task *t;
    struct file *in, *out;
    off_t *in_off, *out_off; /* NULL: the files' own positions */
    size_t len;
    unsigned flags;
    bool nonblock; /* EAGAIN is an answer: for the caller, or since the step has waited itself */
    struct timespec deadline;
    ssize_t (*step)(struct mover *m, size_t left);
};

static bool readable(struct file *f)
{
    unsigned acc = atomic_load(&f->flags) & O_ACCMODE;
    return acc == O_RDONLY || acc == O_RDWR;
}

static bool writable(struct file *f)
{
    unsigned acc = atomic_load(&f->flags) & O_ACCMODE;
    return acc == O_WRONLY || acc == O_RDWR;
}

/* The host's own call could wait, and only a signal of the host's would end that. */
static bool could_wait(struct file *f)
{
    return atomic_load(&f->laned) && f->lanefd < 0 && !file_nonblock(f);
}

static ssize_t step_sendfile(struct mover *m, size_t left)
{
    ssize_t n = sendfile(m->out->hostfd, m->in->hostfd, m->in_off, left < STEP ? left : STEP);
    return n < 0 ? -errno : n;
}

static ssize_t step_splice(struct mover *m, size_t left)
{
    ssize_t n =
        splice(m->in->hostfd, m->in_off, m->out->hostfd, m->out_off, left, m->flags | SPLICE_F_NONBLOCK);
    return n < 0 ? -errno : n;
}

static ssize_t step_tee(struct mover *m, size_t left)
{
    ssize_t n = tee(m->in->hostfd, m->out->hostfd, left, m->flags | SPLICE_F_NONBLOCK);
    return n < 0 ? -errno : n;
}

/* Waits for one end, no longer than a socket's own time-out allows. */
static int wait_for(struct mover *m, struct file *f, short events)
{
    struct sock *s = sock_of(f);

    if (f->kind & FILE_LANE)
        return 0;
    if (!s)
        return host_wait(m->t, f->hostfd, events, NULL);
    return sock_wait(m->t, f, f->hostfd, events, 0, events == POLLIN ? &s->rcvtimeo : &s->sndtimeo,
                     &m->deadline);
}

/* Waits until both ends could move bytes: first the one that is to give them. */
static int mover_wait(struct mover *m)
{
    int r = wait_for(m, m->in, POLLIN);
    return r < 0 ? r : wait_for(m, m->out, POLLOUT);
}

/* all: go on until len bytes are moved (sendfile); else one successful step will do. */
static ssize_t mover_run(struct mover *m, bool all)
{
    size_t done = 0;
    while (done < m->len) {
        ssize_t n = m->step(m, m->len - done);
        if (n == -EINTR)
            continue;
        if (n == -EAGAIN && !m->nonblock) {
            n = mover_wait(m);
            if (n >= 0)
                continue;
        }
        if (n == -EPIPE)
            raise_sigpipe(m->t);
        if (n < 0)
            return done ? (ssize_t)done : n;
        done += (size_t)n;
        m->deadline = (struct timespec){0};
        if (n == 0 || !all || (atomic_load(&m->t->life) & (TASK_DYING | TASK_EXITED)))
            break;
        if (done < m->len && (size_t)n == STEP)
            worker_about_to_block();
    }
    return (ssize_t)done;
}

static int off_from_user(struct task *t, uaddr_t p, off_t *off, off_t **ret)
{
    *ret = NULL;
    if (!p)
        return 0;
    if (get_user(t, off, p) < 0)
        return -EFAULT;
    if (*off < 0)
        return -EINVAL;
    *ret = off;
    return 0;
}

static ssize_t in_read(struct mover *m, struct uio *u, off_t *pos)
{
    if (m->in->kind & FILE_LANE)
        return lane_read(m->in, u, pos, 0);
    return m->in->ops->read ? m->in->ops->read(m->t, m->in, u, pos) : -EINVAL;
}

static ssize_t out_write(struct mover *m, struct uio *u)
{
    struct file *f = m->out;
    if (f->kind & FILE_LANE)
        return lane_write(f, u, m->out_off, 0);
    if (!f->ops->write)
        return -EINVAL;
    if (m->out_off || !(f->kind & FILE_SEEKABLE))
        return f->ops->write(m->t, f, u, m->out_off);
    LOCKED(&f->pos_lock);
    return f->ops->write(m->t, f, u, &f->pos);
}

/* One buffer's worth from a seekable file to anything; what could not be written is left to be read again. */
static ssize_t step_copy(struct mover *m, size_t left)
{
    _cleanup_iobuf_ struct iobuf b;
    if (iobuf_init(&b, left) < 0)
        return -ENOMEM;
    struct uio u;
    off_t pos = m->in_off                 ? *m->in_off
                : m->in->kind & FILE_LANE ? lseek(m->in->hostfd, 0, SEEK_CUR)
                                          : m->in->pos;
    if (pos < 0)
        return -ESPIPE;
    off_t at = pos;
    uio_init_kernel(&u, b.p, left < b.size ? left : b.size);
    ssize_t n = in_read(m, &u, &at);
    if (n <= 0)
        return n;
    uio_init_kernel(&u, b.p, (size_t)n);
    n = out_write(m, &u);
    if (n <= 0)
        return n;
    pos += n;
    if (m->in_off)
        *m->in_off = pos;
    else if (m->in->kind & FILE_LANE)
        (void)lseek(m->in->hostfd, pos, SEEK_SET);
    else
        m->in->pos = pos;
    return n;
}

/* The gate could do the like the next time: both are lanes, and it is not too much to be copied. */
static void note_lanes(struct task *t, const struct sysargs *a, struct mover *m, ssize_t n)
{
    if (n <= 0 || (size_t)n >= SENDFILE_MOST || !(m->out->kind & FILE_STREAM))
        return;
    bool from = lane_plain(t, a, (int)a->arg[1], m->in), to = lane_stream(t, a, (int)a->arg[0], m->out);
    t->used_lane = from && to;
}

/* The host makes it for the guest: what comes to be in memory is then counted as its own. */
static bool is_for_host(struct task *t, const struct sysargs *a, struct file *in, struct file *out)
{
    return out->ops->in_memory && lane_for_host(t, a, (int)a->arg[0], out) &&
           lane_for_host(t, a, (int)a->arg[1], in);
}

long sys_sendfile(struct task *t, const struct sysargs *a)
{
    off_t off = 0;
    struct mover m = {.t = t, .len = a->arg[3] < MAX_RW_COUNT ? a->arg[3] : MAX_RW_COUNT};
    if ((ssize_t)a->arg[3] < 0)
        return -EINVAL;
    int r = off_from_user(t, a->arg[2], &off, &m.in_off);
    if (r < 0)
        return r;
    _cleanup_file_ struct file *out = m.out = fd_get(t, (int)a->arg[0]);
    _cleanup_file_ struct file *in = m.in = fd_get(t, (int)a->arg[1]);
    if (!in || !out || !readable(in) || !writable(out))
        return -EBADF;
    if (!(in->kind & FILE_SEEKABLE))
        return m.in_off ? -ESPIPE : -EINVAL;
    if (((in->kind | out->kind) & FILE_DIR) || a->arg[3] > (uint64_t)(INT64_MAX - off))
        return -EINVAL;
    if (is_for_host(t, a, in, out))
        return SYS_CONTINUE;
    bool native = (in->kind & FILE_LANE) && (out->kind & (FILE_LANE | FILE_RAW_WRITE)) && out->hostfd >= 0 &&
                  !could_wait(out);
    m.step = native ? step_sendfile : step_copy;
    m.nonblock = !native || file_nonblock(out);
    ssize_t n = mover_run(&m, true);
    if (m.in_off && put_user(t, off, off_t, a->arg[2]) < 0)
        return -EFAULT;
    note_lanes(t, a, &m, n);
    return n;
}

static bool can_splice(struct file *in, struct file *out)
{
    return in->hostfd >= 0 && out->hostfd >= 0 && (in->kind & (FILE_LANE | FILE_RAW_READ)) &&
           (out->kind & (FILE_LANE | FILE_RAW_WRITE));
}

/* Bytes that were taken from one end go to the other, however long that takes. */
static ssize_t step_carry(struct mover *m, size_t left)
{
    _cleanup_iobuf_ struct iobuf b;
    struct uio u;
    if (iobuf_init(&b, left) < 0)
        return -ENOMEM;
    uio_init_kernel(&u, b.p, left < b.size ? left : b.size);
    ssize_t n = in_read(m, &u, m->in_off);
    if (n <= 0)
        return n;
    uio_init_kernel(&u, b.p, (size_t)n);
    return out_write(m, &u);
}

static bool is_pipe(const struct file *f)
{
    struct stat st;
    return f->hostfd >= 0 && fstat(f->hostfd, &st) == 0 && S_ISFIFO(st.st_mode);
}

/* Waits for one byte's room or one byte, as vmsplice does, and cuts u to what can then be moved at once. */
static int wait_for_some(struct task *t, struct file *f, struct uio *u, bool fill, bool nonblock)
{
    int have = 0, r = 0;
    struct pollfd p = {.fd = f->hostfd, .events = fill ? POLLOUT : POLLIN};

    if (poll(&p, 1, 0) == 0)
        r = nonblock ? -EAGAIN : host_wait(t, f->hostfd, p.events, NULL);
    if (r < 0)
        return r;
    long size = fcntl(f->hostfd, F_GETPIPE_SZ);
    if (fill && size > 0 && ioctl(f->hostfd, FIONREAD, &have) == 0 && size > have &&
        u->resid > (size_t)(size - have))
        u->resid = (size_t)(size - have);
    return 0;
}

/* One end is a pipe, the other a file of the keep's own that splice(2) knows: by way of a buffer. */
static ssize_t splice_own(struct mover *m)
{
    bool fill = is_pipe(m->out);
    struct file *own = fill ? m->in : m->out, *pipe = fill ? m->out : m->in;
    bool possible = fill ? (own->kind & FILE_SEEKABLE) && !(own->kind & FILE_DIR) : chrdev_swallows(own);
    struct uio u;

    if (own->hostfd >= 0 || !possible || !is_pipe(pipe))
        return -EINVAL;
    _cleanup_iobuf_ struct iobuf b;
    if (iobuf_init(&b, m->len) < 0)
        return -ENOMEM;
    uio_init_kernel(&u, b.p, m->len < b.size ? m->len : b.size);
    ssize_t n = wait_for_some(m->t, pipe, &u, fill, m->nonblock);
    if (n == 0 && fill && !m->in_off) {
        LOCKED(&own->pos_lock);
        n = in_read(m, &u, &own->pos);
    } else if (n == 0) {
        n = in_read(m, &u, m->in_off);
    }
    if (n <= 0)
        return n;
    uio_init_kernel(&u, b.p, (size_t)n);
    return out_write(m, &u);
}

long sys_splice(struct task *t, const struct sysargs *a)
{
    off_t in_off = 0, out_off = 0;
    unsigned flags = (unsigned)a->arg[5];
    struct mover m = {
        .t = t, .len = a->arg[4] < STEP ? a->arg[4] : STEP, .flags = flags, .step = step_splice};
    if (m.len == 0)
        return 0;
    if (flags & ~(unsigned)SPLICE_FLAGS)
        return -EINVAL;
    _cleanup_file_ struct file *in = m.in = fd_get(t, (int)a->arg[0]);
    _cleanup_file_ struct file *out = m.out = fd_get(t, (int)a->arg[2]);
    if (!in || !out || !readable(in) || !writable(out))
        return -EBADF;
    int r = off_from_user(t, a->arg[1], &in_off, &m.in_off);
    if (r == 0)
        r = off_from_user(t, a->arg[3], &out_off, &m.out_off);
    if (r < 0)
        return r;
    if ((m.in_off && !(in->kind & FILE_SEEKABLE)) || (m.out_off && !(out->kind & FILE_SEEKABLE)))
        return -ESPIPE;
    m.nonblock = (flags & SPLICE_F_NONBLOCK) || file_nonblock(in) || file_nonblock(out);
    bool by_host = can_splice(in, out);
    if (by_host && out->ops->in_memory && is_pipe(in) && lane_for_host(t, a, (int)a->arg[2], out) &&
        lane_stream_now(t, a, (int)a->arg[0], in) == 0)
        return SYS_CONTINUE_BLOCKING; /* as is_for_host */
    if (could_wait(in) || could_wait(out)) {
        m.step = step_carry;
        m.nonblock = true;
    }
    ssize_t n = by_host ? mover_run(&m, false) : splice_own(&m);
    if (n > 0 && m.in_off && put_user(t, in_off, off_t, a->arg[1]) < 0)
        return -EFAULT;
    if (n > 0 && m.out_off && put_user(t, out_off, off_t, a->arg[3]) < 0)
        return -EFAULT;
    return n;
}

long sys_tee(struct task *t, const struct sysargs *a)
{
    unsigned flags = (unsigned)a->arg[3];
    struct mover m = {
        .t = t, .len = a->arg[2] < INT_MAX ? a->arg[2] : INT_MAX, .flags = flags, .step = step_tee};
    if (flags & ~(unsigned)SPLICE_FLAGS)
        return -EINVAL;
    if (m.len == 0)
        return 0;
    _cleanup_file_ struct file *in = m.in = fd_get(t, (int)a->arg[0]);
    _cleanup_file_ struct file *out = m.out = fd_get(t, (int)a->arg[1]);
    if (!in || !out || !readable(in) || !writable(out))
        return -EBADF;
    if (!can_splice(in, out) || ((in->kind | out->kind) & FILE_LANE))
        return -EINVAL;
    m.nonblock = (flags & SPLICE_F_NONBLOCK) || file_nonblock(in) || file_nonblock(out);
    return mover_run(&m, false);
}

/* Bytes are copied, whichever way: a gift of pages is a hint. The file's own O_NONBLOCK says nothing here. */
long sys_vmsplice(struct task *t, const struct sysargs *a)
{
    unsigned flags = (unsigned)a->arg[3];
    struct uio u;
    if (flags & ~(unsigned)SPLICE_FLAGS)
        return -EINVAL;
    _cleanup_file_ struct file *f = fd_get(t, (int)a->arg[0]);
    if (!f || !is_pipe(f))
        return -EBADF;
    bool fill = writable(f);
    ssize_t (*move)(struct task *, struct file *, struct uio *, off_t *) =
        fill ? f->ops->write : f->ops->read;
    if (!move)
        return -EBADF;
    int r = uio_init_vec(&u, t, a->arg[1], a->arg[2]);
    if (r < 0)
        return r;
    ssize_t n = 0;
    if (u.resid)
        n = wait_for_some(t, f, &u, fill, flags & SPLICE_F_NONBLOCK);
    if (n == 0 && u.resid)
        n = move(t, f, &u, NULL);
    uio_done(&u);
    return n;
}
