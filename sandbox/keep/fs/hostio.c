/* Moving bytes between guest memory and host descriptors. */
#include "sandbox/keep/fs/hostio.h"

#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "sandbox/keep/signal/signal.h"
#include "sandbox/keep/task/task.h"

int iobuf_init(struct iobuf *b, size_t want)
{
    b->heap = NULL;
    if (want <= sizeof(b->small)) {
        b->p = b->small;
        b->size = sizeof(b->small);
        return 0;
    }
    b->size = want < HOSTIO_CHUNK ? want : HOSTIO_CHUNK;
    b->p = b->heap = malloc(b->size);
    return b->p ? 0 : -ENOMEM;
}

#define DIRECT_ALIGN 4096UL /* enough for any file system's O_DIRECT */

static int iobuf_init_for(struct iobuf *b, struct file *f, size_t want)
{
    if (!(atomic_load_explicit(&f->flags, memory_order_relaxed) & O_DIRECT))
        return iobuf_init(b, want);
    b->size = want < HOSTIO_CHUNK ? (want + DIRECT_ALIGN - 1) & ~(DIRECT_ALIGN - 1) : HOSTIO_CHUNK;
    b->p = b->heap = aligned_alloc(DIRECT_ALIGN, b->size ? b->size : DIRECT_ALIGN);
    return b->p ? 0 : -ENOMEM;
}

void iobuf_done(struct iobuf *b)
{
    free(b->heap);
}

void raise_sigpipe(struct task *t)
{
    siginfo_t info = {.si_signo = SIGPIPE, .si_code = SI_USER};
    info.si_pid = t->process->pid;
    info.si_uid = t->cred->uid;
    LOCKED(&kernel.tasklist_lock);
    (void)send_signal_task(t, &info, false);
}

ssize_t hostio_read(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    (void)pos;
    if (u->resid == 0)
        return 0;
    _cleanup_iobuf_ struct iobuf b;
    int r = iobuf_init(&b, u->resid);
    if (r < 0)
        return r;
    size_t want = u->resid < b.size ? u->resid : b.size;
    for (;;) {
        ssize_t n = read(f->hostfd, b.p, want);
        if (n >= 0)
            return n ? uio_put(u, b.p, (size_t)n) : 0;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN || file_nonblock(f))
            return -errno;
        r = host_wait(t, f->hostfd, POLLIN, NULL);
        if (r < 0)
            return r;
    }
}

/* Writes n bytes of p out, waiting for room unless O_NONBLOCK. Returns what was written, or -errno if nothing
 * was. */
static ssize_t write_out(struct task *t, struct file *f, const char *p, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t w = write(f->hostfd, p + done, n - done);
        if (w >= 0) {
            done += (size_t)w;
            continue;
        }
        if (errno == EINTR)
            continue;
        int e = -errno;
        if (e == -EPIPE)
            raise_sigpipe(t);
        if (e == -EAGAIN && !file_nonblock(f)) {
            e = host_wait(t, f->hostfd, POLLOUT, NULL);
            if (e >= 0)
                continue;
        }
        return done ? (ssize_t)done : e;
    }
    return (ssize_t)done;
}

ssize_t hostio_write(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    (void)pos;
    _cleanup_iobuf_ struct iobuf b;
    int r = iobuf_init(&b, u->resid);
    if (r < 0)
        return r;
    ssize_t done = 0;
    while (u->resid) {
        ssize_t n = uio_get(u, b.p, b.size);
        if (n <= 0)
            return done ? done : n;
        ssize_t w = write_out(t, f, b.p, (size_t)n);
        if (w < 0)
            return done ? done : w;
        done += w;
        if (w < n)
            break;
    }
    return done;
}

int hostio_stat(struct task *t, struct file *f, struct stat *st)
{
    (void)t;
    return fstat(f->hostfd, st) < 0 ? -errno : 0;
}

int hostio_fsync(struct task *t, struct file *f, bool data_only)
{
    (void)t;
    return (data_only ? fdatasync(f->hostfd) : fsync(f->hostfd)) < 0 ? -errno : 0;
}

int hostio_truncate(struct task *t, struct file *f, off_t len)
{
    (void)t;
    return ftruncate(f->hostfd, len) < 0 ? -errno : 0;
}

long hostio_ioctl(struct task *t, struct file *f, unsigned cmd, uaddr_t arg)
{
    int n;
    if (cmd != FIONREAD)
        return -ENOTTY;
    if (ioctl(f->hostfd, FIONREAD, &n) < 0)
        return -errno;
    return put_user(t, n, int, arg);
}

int hostfd_reopen(int hostfd, int flags)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "%d/fd/%d", (int)kernel.pid, hostfd);
    int fd = openat(kernel.procfd, path, flags | O_CLOEXEC | O_NOCTTY);
    return fd < 0 ? -errno : fd;
}

void hostio_link_name(struct file *f, char *buf, size_t size)
{
    struct stat st;
    if (fstat(f->hostfd, &st) < 0)
        st.st_ino = 0;
    (void)snprintf(buf, size, "%s:[%" PRIu64 "]", f->ops->name, (uint64_t)st.st_ino);
}

ssize_t lane_read(struct file *f, struct uio *u, const off_t *pos, int rwf)
{
    _cleanup_iobuf_ struct iobuf b;
    if (iobuf_init_for(&b, f, u->resid) < 0)
        return -ENOMEM;
    ssize_t done = 0;
    do {
        struct iovec v = {b.p, u->resid < b.size ? u->resid : b.size};
        ssize_t n = preadv2(f->hostfd, &v, 1, pos ? *pos + done : -1, rwf);
        if (n < 0)
            return done ? done : -errno;
        ssize_t put = n ? uio_put(u, b.p, (size_t)n) : 0;
        if (!pos && put < n) /* only what the guest has got is read */
            (void)lseek(f->hostfd, (put > 0 ? put : 0) - n, SEEK_CUR);
        if (put < 0)
            return done ? done : put;
        done += put;
        if (put < (ssize_t)v.iov_len)
            break;
    } while (u->resid);
    return done;
}

ssize_t lane_write(struct file *f, struct uio *u, const off_t *pos, int rwf)
{
    _cleanup_iobuf_ struct iobuf b;
    if (iobuf_init_for(&b, f, u->resid) < 0)
        return -ENOMEM;
    ssize_t done = 0;
    do {
        ssize_t n = u->resid ? uio_get(u, b.p, b.size) : 0;
        if (n < 0)
            return done ? done : n;
        struct iovec v = {b.p, (size_t)n};
        ssize_t w = pwritev2(f->hostfd, &v, 1, pos ? *pos + done : -1, rwf);
        if (w < 0)
            return done ? done : -errno;
        done += w;
        if (w < n)
            break;
    } while (u->resid);
    return done;
}

int hostio_install(struct task *t, const struct file_ops *ops, unsigned flags, unsigned kind, int hostfd,
                   void *priv)
{
    struct file *f = file_new(ops, flags, kind, hostfd, priv);
    if (!f) {
        (void)close(hostfd);
        return -ENOMEM;
    }
    int fd = fd_install(t, f, flags & O_CLOEXEC, 0);
    if (fd < 0) {
        static const struct file_ops no_ops;
        f->ops = &no_ops; /* priv is not ours to release */
        file_put(f);
    }
    return fd;
}
