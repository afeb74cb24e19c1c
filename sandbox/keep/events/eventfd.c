/* eventfd(2) over a host eventfd. */
#include <poll.h>
#include <sys/eventfd.h>

#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/fs/hostio.h"
#include "sandbox/keep/signal/signal.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"

#define RETRY_NS 5000000L

static ssize_t eventfd_read_op(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    return u->resid < sizeof(uint64_t) ? -EINVAL : hostio_read(t, f, u, pos);
}

/* The counter can be writable and yet too full for this value: then there is nothing to wait on but time. */
static int wait_for_room(struct task *t, struct file *f)
{
    int r = host_wait(t, f->hostfd, POLLOUT, NULL);
    if (r < 0)
        return r;
    struct timespec d;
    r = host_wait_many(t, NULL, 0, deadline_from(&d, &(struct timespec){.tv_nsec = RETRY_NS}));
    return r < 0 ? r : 0;
}

static ssize_t eventfd_write_op(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    (void)pos;
    uint64_t v;
    if (u->resid < sizeof(v))
        return -EINVAL;
    if (uio_get(u, &v, sizeof(v)) != sizeof(v))
        return -EFAULT;
    while (write(f->hostfd, &v, sizeof(v)) < 0) {
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN || file_nonblock(f))
            return -errno;
        int r = wait_for_room(t, f);
        if (r < 0)
            return r;
    }
    return sizeof(v);
}

/* The host's description never waits: it has no second one, and the keep's writes could not be kept from
 * waiting. So it is fit for guests that do not want it to, either. */
static int eventfd_become_lane(struct file *f)
{
    return file_nonblock(f) ? 0 : -EBUSY;
}

/* A gate that is at it was in time. Whoever donates it meanwhile holds the lock of a table. */
static int eventfd_set_flags(struct task *t, struct file *f, unsigned flags)
{
    (void)t;
    if ((flags & O_NONBLOCK) || !file_nonblock(f))
        return 0;
    atomic_store(&f->barred, true);
    fast_bar(f);
    return 0;
}

static const struct file_ops eventfd_ops = {
    .name = "anon_inode:[eventfd]",
    .read = eventfd_read_op,
    .write = eventfd_write_op,
    .stat = hostio_stat,
    .set_flags = eventfd_set_flags,
    .become_lane = eventfd_become_lane,
};

bool file_is_eventfd(const struct file *f)
{
    return f->ops == &eventfd_ops;
}

void eventfd_signal(struct file *f)
{
    const uint64_t one = 1;

    (void)!write(f->hostfd, &one, sizeof(one));
}

static long do_eventfd(struct task *t, unsigned count, int flags)
{
    if (flags & ~(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE))
        return -EINVAL;
    int fd = eventfd(count, EFD_CLOEXEC | EFD_NONBLOCK | (flags & EFD_SEMAPHORE));
    if (fd < 0)
        return -errno;
    return hostio_install(t, &eventfd_ops, (unsigned)(flags & (O_CLOEXEC | O_NONBLOCK)) | O_RDWR, FILE_STREAM,
                          fd, NULL);
}

long sys_eventfd(struct task *t, const struct sysargs *a)
{
    return do_eventfd(t, (unsigned)a->arg[0], 0);
}

long sys_eventfd2(struct task *t, const struct sysargs *a)
{
    return do_eventfd(t, (unsigned)a->arg[0], (int)a->arg[1]);
}
