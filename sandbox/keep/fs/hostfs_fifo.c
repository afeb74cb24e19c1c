/* FIFOs in host file systems. The host pipe behind them does the work; what has to be made here is open(2)
 * waiting for the other side, although our descriptors are non-blocking. */
#include "sandbox/keep/fs/vfs_priv.h"

#include <poll.h>
#include <sys/eventfd.h>

#include "sandbox/keep/fs/hostio.h"
#include "sandbox/keep/signal/signal.h"

#define LOOK_AGAIN_NS 500000000L /* someone outside the sandbox that says nothing is noticed this late */

/* One that waits in open for the other side. */
struct fifo_waiter {
    struct fifo_waiter *next, *prev;
    int event;
};

static int fifo_set_flags(struct task *t, struct file *f, unsigned flags)
{
    (void)t;
    (void)f;
    (void)flags; /* O_NONBLOCK is ours alone */
    return 0;
}

static const struct file_ops fifo_ops = {
    .name = "pipe",
    .read = hostio_read,
    .write = hostio_write,
    .stat = hostio_stat,
    .set_flags = fifo_set_flags,
};

static int make(struct mount *m, int fd, int flags, struct file **ret)
{
    struct dentry *d = dentry_host(m, fd);
    unsigned keep =
        ((unsigned)flags & ~(unsigned)(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC)) | 0100000u;
    struct file *f = d ? file_new(&fifo_ops, keep, FILE_RAW_READ | FILE_RAW_WRITE, fd, NULL) : NULL;

    if (!f) {
        dentry_put(d);
        return -ENOMEM;
    }
    f->dentry = d;
    *ret = f;
    return 0;
}

/* A FIFO was opened (which one is not worth knowing: waiters are few and look for themselves). */
static void someone_came(void)
{
    struct fifo_waiter *w;
    uint64_t one = 1;

    LOCKED(&kernel.vfs->fifo_lock);
    DL_FOREACH(kernel.vfs->fifo_waiters, w)
    (void)!write(w->event, &one, sizeof(one));
}

/* Has a reading end seen a writer since it was opened? Data and POLLHUP say so; else tee(2), which moves
 * nothing, tells "none" (0) from "there, but silent" (EAGAIN). */
static bool writer_seen(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int pipefd[2];

    if (poll(&p, 1, 0) > 0)
        return true;
    if (pipe2(pipefd, O_CLOEXEC | O_NONBLOCK) != 0)
        return true;
    ssize_t n = tee(fd, pipefd[1], 1, SPLICE_F_NONBLOCK);
    bool seen = n > 0 || (n < 0 && errno == EAGAIN);
    (void)close(pipefd[0]);
    (void)close(pipefd[1]);
    return seen;
}

static void waiter_add(struct fifo_waiter *w)
{
    LOCKED(&kernel.vfs->fifo_lock);
    DL_APPEND(kernel.vfs->fifo_waiters, w);
}

static void waiter_remove(struct fifo_waiter *w)
{
    {
        LOCKED(&kernel.vfs->fifo_lock);
        DL_DELETE(kernel.vfs->fifo_waiters, w);
    }
    (void)close(w->event);
}

/* Waits until someone came, fd (-1: none) is ready, or it is time to look again. 0 or -ERESTARTSYS. */
static int waiter_wait(struct task *t, int fd, struct fifo_waiter *w)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = w->event, .events = POLLIN}};
    struct timespec until;
    uint64_t count;
    int r = host_wait_many(t, fds, 2, deadline_from(&until, &(struct timespec){.tv_nsec = LOOK_AGAIN_NS}));

    (void)!read(w->event, &count, sizeof(count));
    return r < 0 && r != -ETIMEDOUT ? r : 0;
}

static int wait_writer(struct task *t, int fd)
{
    struct fifo_waiter w = {.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    int r = 0;

    if (w.event < 0)
        return -errno;
    waiter_add(&w);
    while (r == 0 && !writer_seen(fd))
        r = waiter_wait(t, fd, &w);
    waiter_remove(&w);
    return r;
}

/* fd is a FIFO that was opened non-blocking. */
int fifo_file(struct task *t, struct mount *m, int fd, int flags, struct file **ret)
{
    someone_came();
    if ((flags & O_ACCMODE) == O_RDONLY && !(flags & O_NONBLOCK) && !writer_seen(fd)) {
        int r = wait_writer(t, fd);
        if (r < 0) {
            (void)close(fd);
            return r;
        }
    }
    return make(m, fd, flags, ret);
}

/* Opens for writing once there is a reader: the host's blocking open could not be interrupted without losing
 * wake-ups. */
static int wait_reader(struct task *t, const char *name, int flags)
{
    struct fifo_waiter w = {.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    int fd;

    if (w.event < 0)
        return -errno;
    waiter_add(&w);
    for (;;) {
        vfs_assume(t);
        fd = openat(kernel.procfd, name, flags);
        if (fd < 0)
            fd = -errno;
        if (fd != -ENXIO)
            break;
        int r = waiter_wait(t, -1, &w);
        if (r < 0) {
            fd = r;
            break;
        }
    }
    waiter_remove(&w);
    return fd;
}

int fifo_open(struct task *t, struct dentry *d, int flags, struct file **ret)
{
    char name[40];
    int hf = (flags & O_ACCMODE) | O_NOCTTY | O_CLOEXEC;

    dentry_procname(d, name);
    vfs_assume(t);
    int fd = openat(kernel.procfd, name, hf | O_NONBLOCK);
    if (fd < 0)
        fd = -errno;
    if (fd == -ENXIO && !(flags & O_NONBLOCK))
        fd = wait_reader(t, name, hf | O_NONBLOCK);
    return fd < 0 ? fd : fifo_file(t, d->mnt, fd, flags, ret);
}
