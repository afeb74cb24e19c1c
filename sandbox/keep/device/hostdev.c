#include "sandbox/keep/device/hostdev.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/fs/hostio.h"
#include "sandbox/keep/task/task.h"

#define INPUT_MAJOR 13
#define TERMIOS 36  /* the kernel's struct termios */
#define TERMIOS2 44 /* and termios2 */

/* Requests
 * -----------------------------------------------------------------------------------------------------------
 * A driver follows addresses in its argument, and would follow them into the keep's memory. So only those
 * that have none are passed on, by the kind of device, since two drivers may mean different things by one
 * number. */

enum way { TAKES_VALUE, TAKES, GIVES };

struct request {
    unsigned cmd;
    enum way way;
    unsigned size;
};

static const struct request block_requests[] = {
    {BLKGETSIZE, GIVES, 8},    {BLKGETSIZE64, GIVES, 8},     {BLKSSZGET, GIVES, 4},
    {BLKPBSZGET, GIVES, 4},    {BLKBSZGET, GIVES, 4},        {BLKROGET, GIVES, 4},
    {BLKRAGET, GIVES, 8},      {BLKFRAGET, GIVES, 8},        {BLKIOMIN, GIVES, 4},
    {BLKIOOPT, GIVES, 4},      {BLKALIGNOFF, GIVES, 4},      {BLKSECTGET, GIVES, 2},
    {BLKROTATIONAL, GIVES, 2}, {BLKDISCARDZEROES, GIVES, 4}, {BLKFLSBUF, TAKES_VALUE, 0},
    {BLKDISCARD, TAKES, 16},   {BLKZEROOUT, TAKES, 16},
};

static const struct request tty_requests[] = {
    {TCGETS, GIVES, TERMIOS},      {TCSETS, TAKES, TERMIOS},      {TCSETSW, TAKES, TERMIOS},
    {TCSETSF, TAKES, TERMIOS},     {0x802c542a, GIVES, TERMIOS2}, {0x402c542b, TAKES, TERMIOS2},
    {0x402c542c, TAKES, TERMIOS2}, {0x402c542d, TAKES, TERMIOS2}, {TCSBRK, TAKES_VALUE, 0},
    {TCSBRKP, TAKES_VALUE, 0},     {TCXONC, TAKES_VALUE, 0},      {TCFLSH, TAKES_VALUE, 0},
    {TIOCSBRK, TAKES_VALUE, 0},    {TIOCCBRK, TAKES_VALUE, 0},    {TIOCMGET, GIVES, 4},
    {TIOCMSET, TAKES, 4},          {TIOCMBIS, TAKES, 4},          {TIOCMBIC, TAKES, 4},
    {TIOCINQ, GIVES, 4},           {TIOCOUTQ, GIVES, 4},          {TIOCGWINSZ, GIVES, 8},
    {TIOCSWINSZ, TAKES, 8},        {TIOCEXCL, TAKES_VALUE, 0},    {TIOCNXCL, TAKES_VALUE, 0},
};

/* What input devices tell about themselves (EVIOCG*) is of the size that the number says. */
static bool is_input_question(unsigned cmd)
{
    return _IOC_DIR(cmd) == _IOC_READ && _IOC_TYPE(cmd) == 'E' && _IOC_NR(cmd) < 0x80;
}

static const struct request *find(const struct request *list, size_t n, unsigned cmd)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].cmd == cmd)
            return &list[i];
    return NULL;
}

static bool known(const struct file *f, unsigned cmd, struct request *ret)
{
    const struct request *found = NULL;
    struct stat st;

    if (fstat(f->hostfd, &st) < 0)
        return false;
    *ret = (struct request){cmd, GIVES, _IOC_SIZE(cmd)};
    if (S_ISCHR(st.st_mode) && major(st.st_rdev) == INPUT_MAJOR)
        return is_input_question(cmd);
    if (S_ISBLK(st.st_mode))
        found = find(block_requests, ARRAY_SIZE(block_requests), cmd);
    else if (isatty(f->hostfd))
        found = find(tty_requests, ARRAY_SIZE(tty_requests), cmd);
    if (found)
        *ret = *found;
    return found != NULL;
}

static long hostdev_ioctl(struct task *t, struct file *f, unsigned cmd, uaddr_t arg)
{
    static const size_t largest = 1 << _IOC_SIZEBITS;
    struct request q;

    if (!known(f, cmd, &q))
        return -ENOTTY;
    if (q.way == TAKES_VALUE) {
        int r = ioctl(f->hostfd, cmd, arg);
        return r < 0 ? -errno : r;
    }
    _cleanup_free_ char *buf = calloc(1, largest);
    if (!buf)
        return -ENOMEM;
    if (q.way == TAKES && copy_from_user(t, buf, arg, q.size) < 0)
        return -EFAULT;
    int r = ioctl(f->hostfd, cmd, buf);
    if (r < 0)
        return -errno;
    return q.way == GIVES && copy_to_user(t, arg, buf, q.size) < 0 ? -EFAULT : r;
}

/* Bytes
 * ------------------------------------------------------------------------------------------------------
 */

static ssize_t hostdev_read(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    if (!pos || !(f->kind & FILE_SEEKABLE))
        return hostio_read(t, f, u, pos);
    ssize_t n = lane_read(f, u, pos, 0);
    if (n > 0)
        *pos += n;
    return n;
}

static ssize_t hostdev_write(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    if (!pos || !(f->kind & FILE_SEEKABLE))
        return hostio_write(t, f, u, pos);
    ssize_t n = lane_write(f, u, pos, 0);
    if (n > 0)
        *pos += n;
    return n;
}

static off_t hostdev_llseek(struct task *t, struct file *f, off_t off, int whence)
{
    (void)t;
    if (whence == SEEK_CUR && __builtin_add_overflow(off, f->pos, &off))
        return -EOVERFLOW;
    off_t r = lseek(f->hostfd, off, whence == SEEK_CUR ? SEEK_SET : whence);
    if (r < 0)
        return -errno;
    f->pos = r;
    return r;
}

static const struct file_ops hostdev_ops = {
    .name = "device",
    .read = hostdev_read,
    .write = hostdev_write,
    .llseek = hostdev_llseek,
    .ioctl = hostdev_ioctl,
    .fsync = hostio_fsync,
};

/* Opening
 * ----------------------------------------------------------------------------------------------------
 */

static int open_node(const struct container *c, char type, dev_t dev, int flags)
{
    static const mode_t needs[] = {S_IRUSR, S_IWUSR, S_IRUSR | S_IWUSR, 0};
    mode_t need = needs[flags & O_ACCMODE];
    char name[HOSTDEV_NAME];
    struct stat st;

    hostdev_name(name, type, dev);
    if (c->devices_fd < 0 || fstatat(c->devices_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -ENXIO;
    if (!need || (st.st_mode & need) != need)
        return -EPERM;
    /* A driver that waits for a carrier would hold up the keep; the guest's own O_NONBLOCK is in file.flags.
     */
    int wait = type == 'c' ? O_NONBLOCK : flags & O_NONBLOCK;
    int fd = openat(c->devices_fd, name,
                    (flags & (O_ACCMODE | O_EXCL | O_SYNC | O_DIRECT)) | wait | O_CLOEXEC | O_NOCTTY);
    return fd < 0 ? -errno : fd;
}

int hostdev_open(struct task *t, char type, dev_t dev, int flags, struct file **ret)
{
    int plain = flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);

    vfs_assume_self();
    _cleanup_close_ int fd = open_node(t->process->container, type, dev, flags);
    if (fd < 0)
        return fd;
    unsigned kind = (type == 'b' ? FILE_NOPOLL : 0) | (lseek(fd, 0, SEEK_CUR) >= 0 ? FILE_SEEKABLE : 0);
    *ret = file_new(&hostdev_ops, (unsigned)plain, kind, fd, NULL);
    if (!*ret)
        return -ENOMEM;
    (void)steal_fd(&fd);
    return 0;
}
