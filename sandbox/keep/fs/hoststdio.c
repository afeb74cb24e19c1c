/* The container's stdio, as the caller of the runtime handed it in: pipes, files, terminals, sockets,
 * devices.
 *
 * The open file description is shared with others outside, so its O_NONBLOCK is not the keep's to change.
 * Pipes and terminals are opened anew where that works; where it does not, the keep waits before it reads or
 * writes, and writes little. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <termios.h>

#include "sandbox/keep/fs/hostio.h"
#include "sandbox/keep/signal/signal.h"
#include "sandbox/keep/task/task.h"

static bool host_is_blocking(struct file *f)
{
    int fl = fcntl(f->hostfd, F_GETFL);
    return fl >= 0 && !(fl & O_NONBLOCK);
}

static int wait_ready(struct task *t, struct file *f, short events)
{
    struct pollfd p = {f->hostfd, events, 0};
    if (poll(&p, 1, 0) > 0)
        return 1;
    return file_nonblock(f) ? -EAGAIN : host_wait(t, f->hostfd, events, NULL);
}

static ssize_t stdio_read(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    if (host_is_blocking(f)) {
        int r = wait_ready(t, f, POLLIN);
        if (r < 0)
            return r;
    }
    return hostio_read(t, f, u, pos);
}

/* After POLLOUT a pipe takes PIPE_BUF bytes without blocking. */
static ssize_t stdio_write(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    if (!host_is_blocking(f))
        return hostio_write(t, f, u, pos);
    ssize_t done = 0;
    while (u->resid) {
        char buf[PIPE_BUF];
        int r = wait_ready(t, f, POLLOUT);
        if (r < 0)
            return done ? done : r;
        ssize_t n = uio_get(u, buf, sizeof(buf));
        if (n <= 0)
            return done ? done : n;
        ssize_t w = write(f->hostfd, buf, (size_t)n);
        if (w < 0) {
            int e = errno;
            if (e == EPIPE)
                raise_sigpipe(t);
            return done ? done : -e;
        }
        done += w;
        if (w < n)
            break;
    }
    return done;
}

/* What a terminal may be asked through plain stdio: its size and modes, but no input and no control of
 * sessions. */
static long stdio_ioctl(struct task *t, struct file *f, unsigned cmd, uaddr_t arg)
{
    struct termios tio; /* larger than the kernel's struct */
    struct winsize ws;
    int n;
    if (cmd == TCGETS) {
        if (ioctl(f->hostfd, TCGETS, &tio) < 0)
            return -errno;
        return copy_to_user(t, arg, &tio, 36);
    }
    if (cmd == TIOCGWINSZ) {
        if (ioctl(f->hostfd, TIOCGWINSZ, &ws) < 0)
            return -errno;
        return copy_to_user(t, arg, &ws, sizeof(ws));
    }
    if (cmd == FIONREAD) {
        if (ioctl(f->hostfd, FIONREAD, &n) < 0)
            return -errno;
        return put_user(t, n, int, arg);
    }
    if (cmd == TCSETS || cmd == TCSETSW || cmd == TCSETSF) {
        memset(&tio, 0, sizeof(tio));
        if (copy_from_user(t, &tio, arg, 36) < 0)
            return -EFAULT;
        return ioctl(f->hostfd, cmd, &tio) < 0 ? -errno : 0;
    }
    return -ENOTTY;
}

static void stdio_link_name(struct file *f, char *buf, size_t size)
{
    struct stat st = {0};
    (void)fstat(f->hostfd, &st);
    static const char *const memory[] = {
        [3] = "null", [5] = "zero", [7] = "full", [8] = "random", [9] = "urandom"};
    unsigned dev = minor(st.st_rdev);
    if (S_ISCHR(st.st_mode) && major(st.st_rdev) == 1 && dev < ARRAY_SIZE(memory) && memory[dev]) {
        (void)snprintf(buf, size, "/dev/%s", memory[dev]);
        return;
    }
    const char *kind = S_ISFIFO(st.st_mode) ? "pipe" : S_ISSOCK(st.st_mode) ? "socket" : "host";
    (void)snprintf(buf, size, "%s:[%llu]", kind, (unsigned long long)st.st_ino);
}

/* The same description again: there is no way to the object's name from in here. */
static int stdio_reopen(struct task *t, struct file *f, int flags, struct file **ret)
{
    (void)t;
    unsigned have = atomic_load(&f->flags) & O_ACCMODE, want = (unsigned)flags & O_ACCMODE;
    if (have != O_RDWR && have != want)
        return -EACCES;
    *ret = file_get(f);
    return 0;
}

static const struct file_ops stdio_ops = {
    .name = "host",
    .read = stdio_read,
    .write = stdio_write,
    .ioctl = stdio_ioctl,
    .stat = hostio_stat,
    .fsync = hostio_fsync,
    .truncate = hostio_truncate,
    .link_name = stdio_link_name,
    .reopen = stdio_reopen,
};

/* A description of our own for pipes and terminals, so that it can be O_NONBLOCK; fd itself where there is
 * none. */
static int own_description(int fd, mode_t type)
{
    int fl = fcntl(fd, F_GETFL);
    if (fl < 0 || (fl & O_NONBLOCK) || (type != S_IFIFO && type != S_IFCHR))
        return fd;
    if (type == S_IFCHR && !isatty(fd))
        return fd;
    int now = hostfd_reopen(fd, (fl & O_ACCMODE) | O_NONBLOCK);
    if (now < 0)
        return fd;
    (void)close(fd);
    return now;
}

struct file *host_stdio_file(int fd)
{
    struct stat st;
    unsigned kind = 0;
    if (fstat(fd, &st) < 0)
        return NULL;
    fd = own_description(fd, st.st_mode & S_IFMT);
    int fl = fcntl(fd, F_GETFL);
    unsigned flags = fl < 0 ? O_RDWR : (unsigned)fl & (O_ACCMODE | O_APPEND);
    if (S_ISREG(st.st_mode))
        kind = FILE_SEEKABLE | FILE_LANE | FILE_NOPOLL;
    else if (S_ISFIFO(st.st_mode) && (fl & O_NONBLOCK))
        kind = FILE_RAW_READ | FILE_RAW_WRITE;
    else if (S_ISCHR(st.st_mode) && !isatty(fd))
        kind = FILE_NOPOLL;
    struct file *f = file_new(&stdio_ops, flags, kind, fd, NULL);
    if (!f)
        (void)close(fd);
    return f;
}
