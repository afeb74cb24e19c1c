/* The memory devices, and which driver a device number leads to. */
#include "sandbox/keep/device/chrdev.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/device/hostdev.h"
#include "sandbox/keep/klog.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/device/tty.h"

struct chrdev_host {
    int zero[O_ACCMODE]; /* the host's /dev/zero, by how a guest's is open */
};

/* Opens path if that is character device major:minor. -1: it is not. */
static int open_device(const char *path, int mode, unsigned maj, unsigned min)
{
    _cleanup_close_ int fd = open(path, mode | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(maj, min))
        return -1;
    return steal_fd(&fd);
}

void chrdev_init(void)
{
    struct chrdev_host *h = malloc(sizeof(*h));
    if (!h)
        return;
    for (int mode = 0; mode < O_ACCMODE; mode++)
        h->zero[mode] = open_device("/dev/zero", mode, 1, 5);
    kernel.chrdev_host = h;
}

/* Moves the cursor over n bytes without touching them. */
static ssize_t swallow(struct uio *u)
{
    ssize_t n = (ssize_t)u->resid;
    u->resid = 0;
    u->i = u->count;
    u->off = 0;
    return n;
}

static ssize_t null_read(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    (void)t, (void)f, (void)u, (void)pos;
    return 0;
}

static ssize_t null_write(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    (void)t, (void)f, (void)pos;
    return swallow(u);
}

static ssize_t zero_read(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    (void)t, (void)f, (void)pos;
    static const char zeroes[65536];
    ssize_t total = 0;
    while (u->resid) {
        ssize_t n = uio_put(u, zeroes, u->resid < sizeof(zeroes) ? u->resid : sizeof(zeroes));
        if (n <= 0)
            return total ? total : n;
        total += n;
        if (signal_pending(t))
            break;
    }
    return total;
}

static ssize_t full_write(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    (void)t, (void)f, (void)u, (void)pos;
    return -ENOSPC;
}

static ssize_t random_read(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    (void)f, (void)pos;
    char buf[4096];
    ssize_t total = 0;
    while (u->resid) {
        size_t want = u->resid < sizeof(buf) ? u->resid : sizeof(buf);
        ssize_t n = getrandom(buf, want, 0);
        if (n < 0)
            return total ? total : -errno;
        n = uio_put(u, buf, (size_t)n);
        if (n <= 0)
            return total ? total : n;
        total += n;
        if (signal_pending(t))
            break;
    }
    return total;
}

/* Seeking is allowed and means nothing. */
static off_t null_llseek(struct task *t, struct file *f, off_t off, int whence)
{
    (void)t, (void)off, (void)whence;
    f->pos = 0;
    return 0;
}

/* The entropy that a guest claims to have is not asked for; how much there is, is a matter of form
 * (random(4)). */
static long random_ioctl(struct task *t, struct file *f, unsigned cmd, uaddr_t arg)
{
    (void)f;
    const unsigned rndgetentcnt = 0x80045200;
    return cmd == rndgetentcnt ? put_user(t, 256, int, arg) : -EPERM;
}

static const struct file_ops null_ops = {
    .name = "null", .read = null_read, .write = null_write, .llseek = null_llseek};
static const struct file_ops zero_ops = {
    .name = "zero", .read = zero_read, .write = null_write, .llseek = null_llseek};
static const struct file_ops full_ops = {
    .name = "full", .read = zero_read, .write = full_write, .llseek = null_llseek};
static const struct file_ops random_ops = {
    .name = "random", .read = random_read, .write = null_write, .llseek = null_llseek, .ioctl = random_ioctl};

static int open_zero(int flags, struct file **ret)
{
    const struct chrdev_host *h = kernel.chrdev_host;
    int mode = flags & O_ACCMODE, ours = h && mode < O_ACCMODE ? h->zero[mode] : -1;
    _cleanup_close_ int fd = ours >= 0 ? fcntl(ours, F_DUPFD_CLOEXEC, 3) : -1;
    /* With a host descriptor its bytes are the host's to move, and mappings of it work. */
    unsigned kind = FILE_NOPOLL | FILE_SEEKABLE | (fd >= 0 ? FILE_LANE : 0);
    *ret = file_new(&zero_ops, (unsigned)flags, kind, fd, NULL);
    if (!*ret)
        return -ENOMEM;
    (void)steal_fd(&fd);
    return 0;
}

static int open_memory(unsigned min, int flags, struct file **ret)
{
    static const struct file_ops *const drivers[] = {
        [3] = &null_ops, [7] = &full_ops, [8] = &random_ops, [9] = &random_ops};
    if (min == 5)
        return open_zero(flags, ret);
    if (min >= ARRAY_SIZE(drivers) || !drivers[min])
        return -ENXIO;
    unsigned kind = drivers[min] == &random_ops ? FILE_SEEKABLE : FILE_SEEKABLE | FILE_NOPOLL;
    *ret = file_new(drivers[min], (unsigned)flags, kind, -1, NULL);
    return *ret ? 0 : -ENOMEM;
}

bool chrdev_swallows(const struct file *f)
{
    return f->ops == &null_ops || f->ops == &random_ops;
}

int chrdev_open(struct task *t, dev_t rdev, int flags, struct file **ret)
{
    unsigned maj = major(rdev), min = minor(rdev);
    int plain = flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);
    if (maj == 1)
        return min == 11 ? kmsg_open(t, plain, ret) : open_memory(min, plain, ret);
    if (maj == 5 && min == 0)
        return tty_open_controlling(t, flags, ret);
    if (maj == 5 && min == 1)
        return tty_console_reopen(t, flags, ret);
    if (maj == 5 && min == 2)
        return tty_open_ptmx(t, flags, ret);
    return maj == 136 ? tty_open_index(t, min, flags, ret) : hostdev_open(t, 'c', rdev, flags, ret);
}
