/* pipe, pipe2: host pipes, held by the keep. */
#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/fs/hostio.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/fs/vfs.h"

/* The host descriptor is O_NONBLOCK. */
static const struct file_ops pipe_ops;

static int pipe_set_flags(struct task *t, struct file *f, unsigned flags)
{
    (void)t;
    LOCKED(&f->pos_lock);
    if (f->lanefd >= 0 && fcntl(f->lanefd, F_SETFL, (int)(flags & (O_DIRECT | O_NONBLOCK))) < 0)
        return -errno;
    return fcntl(f->hostfd, F_SETFL, O_NONBLOCK | (int)(flags & O_DIRECT)) < 0 ? -errno : 0;
}

/* The keep's own description never waits. */
static int pipe_become_lane(struct file *f)
{
    unsigned flags = atomic_load(&f->flags);
    vfs_assume_self();
    int fd = hostfd_reopen(f->hostfd, (int)(flags & (O_ACCMODE | O_DIRECT)) | O_NONBLOCK);
    if (fd < 0)
        return fd;
    if (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, (int)(flags & O_DIRECT)) < 0) {
        (void)close(fd);
        return -EIO;
    }
    f->lanefd = fd;
    return 0;
}

static int pipe_reopen(struct task *t, struct file *f, int flags, struct file **ret)
{
    vfs_assume(t);
    int fd = hostfd_reopen(f->hostfd, (flags & O_ACCMODE) | O_NONBLOCK);
    if (fd < 0)
        return fd;
    *ret = file_new(&pipe_ops, (unsigned)flags & (O_ACCMODE | O_NONBLOCK),
                    FILE_RAW_READ | FILE_RAW_WRITE | FILE_STREAM, fd, NULL);
    if (!*ret)
        (void)close(fd);
    return *ret ? 0 : -ENOMEM;
}

static const struct file_ops pipe_ops = {
    .name = "pipe",
    .read = hostio_read,
    .write = hostio_write,
    .ioctl = hostio_ioctl,
    .stat = hostio_stat,
    .set_flags = pipe_set_flags,
    .link_name = hostio_link_name,
    .reopen = pipe_reopen,
    .become_lane = pipe_become_lane,
};

static long do_pipe(struct task *t, const struct sysargs *a, unsigned flags)
{
    int host[2], guest[2];
    if (flags & ~(unsigned)(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
        return -EINVAL;
    vfs_assume(t); /* the pipe is the guest user's own */
    if (pipe2(host, O_CLOEXEC | O_NONBLOCK | (int)(flags & O_DIRECT)) < 0)
        return -errno;
    bool native = false;
    guest[0] = hostio_install(t, &pipe_ops, flags | O_RDONLY, FILE_RAW_READ | FILE_STREAM, host[0], NULL);
    if (guest[0] < 0) {
        (void)close(host[1]);
        return guest[0];
    }
    guest[1] = hostio_install(t, &pipe_ops, flags | O_WRONLY, FILE_RAW_WRITE | FILE_STREAM, host[1], NULL);
    if (guest[1] < 0) {
        (void)fd_close(t, a, guest[0], &native);
        return guest[1];
    }
    if (copy_to_user(t, a->arg[0], guest, sizeof(guest)) < 0) {
        (void)fd_close(t, a, guest[0], &native);
        (void)fd_close(t, a, guest[1], &native);
        return -EFAULT;
    }
    return 0;
}

long sys_pipe(struct task *t, const struct sysargs *a)
{
    return do_pipe(t, a, 0);
}

long sys_pipe2(struct task *t, const struct sysargs *a)
{
    return do_pipe(t, a, (unsigned)a->arg[1]);
}
