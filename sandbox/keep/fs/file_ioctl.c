/* ioctl(2): what holds for every file; the rest is the file's own. */
#include <sys/ioctl.h>

#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"

/* FIONBIO, FIOASYNC: an int says whether flag is to be set. */
static long ioctl_flag(struct task *t, struct file *f, uaddr_t arg, unsigned flag)
{
    int on;
    if (get_user(t, &on, arg) < 0)
        return -EFAULT;
    unsigned now = atomic_load(&f->flags);
    now = on ? now | flag : now & ~flag;
    if (f->ops->set_flags) {
        int r = f->ops->set_flags(t, f, now);
        if (r < 0)
            return r;
    }
    atomic_store(&f->flags, now);
    return 0;
}

static long lane_fionread(struct task *t, struct file *f, uaddr_t arg)
{
    struct stat st;
    off_t pos = lseek(f->hostfd, 0, SEEK_CUR);
    if (pos < 0 || fstat(f->hostfd, &st) < 0)
        return -errno;
    return put_user(t, st.st_size - pos, int, arg);
}

long sys_ioctl(struct task *t, const struct sysargs *a)
{
    int fd = (int)a->arg[0];
    unsigned cmd = (unsigned)a->arg[1];
    _cleanup_file_ struct file *f = fd_get(t, fd);
    if (!f)
        return -EBADF;
    switch (cmd) {
    case FIOCLEX:
    case FIONCLEX: {
        int r = fd_cloexec(t, fd, cmd == FIOCLEX);
        return r < 0 ? r : 0;
    }
    case FIONBIO:
        return ioctl_flag(t, f, a->arg[2], O_NONBLOCK);
    case FIOASYNC:
        return ioctl_flag(t, f, a->arg[2], O_ASYNC);
    case FIONREAD:
        if (f->kind & FILE_LANE)
            return lane_fionread(t, f, a->arg[2]);
        break;
    default:
        break;
    }
    if (f->ops->call_ioctl)
        return f->ops->call_ioctl(t, a, f);
    return f->ops->ioctl ? f->ops->ioctl(t, f, cmd, a->arg[2]) : -ENOTTY;
}
