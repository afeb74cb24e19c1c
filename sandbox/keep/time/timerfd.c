/* timerfd_create(2) and its kin over a host timerfd. */
#include <sys/timerfd.h>

#include "sandbox/keep/fs/hostio.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"

static ssize_t timerfd_read_op(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    return u->resid < sizeof(uint64_t) ? -EINVAL : hostio_read(t, f, u, pos);
}

static const struct file_ops timerfd_ops = {
    .name = "anon_inode:[timerfd]",
    .read = timerfd_read_op,
    .stat = hostio_stat,
};

long sys_timerfd_create(struct task *t, const struct sysargs *a)
{
    int clock = (int)a->arg[0], flags = (int)a->arg[1];
    if (flags & ~(TFD_CLOEXEC | TFD_NONBLOCK))
        return -EINVAL;
    if (clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM)
        return -EPERM; /* no guest may wake the machine */
    int fd = timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    return hostio_install(t, &timerfd_ops, (unsigned)flags | O_RDWR, 0, fd, NULL);
}

static struct file *timerfd_get(struct task *t, int fd, int *err)
{
    struct file *f = fd_get(t, fd);
    if (f && f->ops == &timerfd_ops)
        return f;
    *err = f ? -EINVAL : -EBADF;
    if (f)
        file_put(f);
    return NULL;
}

long sys_timerfd_settime(struct task *t, const struct sysargs *a)
{
    struct itimerspec now, old;
    int err = 0;
    if (get_user(t, &now, a->arg[2]) < 0)
        return -EFAULT;
    _cleanup_file_ struct file *f = timerfd_get(t, (int)a->arg[0], &err);
    if (!f)
        return err;
    if (timerfd_settime(f->hostfd, (int)a->arg[1], &now, &old) < 0)
        return -errno;
    return a->arg[3] ? copy_to_user(t, a->arg[3], &old, sizeof(old)) : 0;
}

long sys_timerfd_gettime(struct task *t, const struct sysargs *a)
{
    struct itimerspec now;
    int err = 0;
    _cleanup_file_ struct file *f = timerfd_get(t, (int)a->arg[0], &err);
    if (!f)
        return err;
    if (timerfd_gettime(f->hostfd, &now) < 0)
        return -errno;
    return copy_to_user(t, a->arg[1], &now, sizeof(now));
}
