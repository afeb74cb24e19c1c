/* The master side of ptys: what is written there is typed at the terminal.
 *
 * The bytes go through the host's line discipline, which echoes, edits and flushes by the termios that the
 * guest set. It knows no guest process, though: so the keep reads along for the characters that raise
 * signals. */
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>

#include "sandbox/keep/device/tty_internal.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/fs/vfs.h"

#define PTY_CHUNK 4096

static ssize_t master_read(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    (void)pos;
    char buf[PTY_CHUNK];
    size_t want = u->resid < sizeof(buf) ? u->resid : sizeof(buf);
    while (want) {
        ssize_t n = read(f->hostfd, buf, want);
        if (n >= 0)
            return n ? uio_put(u, buf, (size_t)n) : 0;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return -errno;
        if (atomic_load(&f->flags) & O_NONBLOCK)
            return -EAGAIN;
        int r = host_wait(t, f->hostfd, POLLIN, NULL);
        if (r < 0)
            return r;
    }
    return 0;
}

static int char_signal(const struct termios *tio, unsigned char c)
{
    if (c == 0) /* _POSIX_VDISABLE */
        return 0;
    if (c == tio->c_cc[VINTR])
        return SIGINT;
    if (c == tio->c_cc[VQUIT])
        return SIGQUIT;
    return c == tio->c_cc[VSUSP] ? SIGTSTP : 0;
}

/* The signals (SIGBIT) that these input bytes raise, by n_tty's rules. */
static sigset64 scan_input(struct tty *tty, const struct termios *tio, const char *buf, size_t n)
{
    sigset64 found = 0;
    bool lower = (tio->c_iflag & IUCLC) && (tio->c_lflag & IEXTEN);
    bool strip = tio->c_iflag & ISTRIP;
    if (!(tio->c_lflag & ISIG) || ((tio->c_lflag & EXTPROC) && !lower && !strip))
        return 0;
    LOCKED(&tty->lock);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)buf[i];
        if (tty->lnext) {
            tty->lnext = false;
            continue;
        }
        if (strip)
            c &= 0x7f;
        if (lower)
            c = (unsigned char)tolower(c);
        int signo = char_signal(tio, c);
        if (signo)
            found |= SIGBIT(signo);
        else if ((tio->c_lflag & ICANON) && (tio->c_lflag & IEXTEN) && c && c == tio->c_cc[VLNEXT])
            tty->lnext = true;
    }
    return found;
}

/* The host takes typed bytes in later, on a worker of its own. Asking the slave whether it is readable makes
 * it catch up, so that the echo of ^C and the flush come before what the signal makes the guest print. */
static void settle_input(struct tty *tty)
{
    _cleanup_close_ int fd = tty_host_slave(tty);
    if (fd >= 0)
        (void)poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0);
}

static void raise_signals(struct tty *tty, sigset64 found)
{
    settle_input(tty);
    LOCKED(&kernel.tasklist_lock);
    static const int order[] = {SIGINT, SIGQUIT, SIGTSTP};
    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        if (found & SIGBIT(order[i]))
            (void)tty_signal_foreground(tty, order[i]);
    }
}

static ssize_t master_write(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    (void)pos;
    char buf[PTY_CHUNK];
    ssize_t total = 0;
    while (u->resid) {
        ssize_t n = uio_get(u, buf, u->resid < sizeof(buf) ? u->resid : sizeof(buf));
        struct termios tio;
        bool known = ioctl(f->hostfd, TCGETS, &tio) == 0;
        ssize_t w = n > 0 ? tty_host_write(t, f, buf, (size_t)n) : n;
        if (w < 0)
            return total ? total : w;
        total += w;
        sigset64 found = known ? scan_input(f->priv, &tio, buf, (size_t)w) : 0;
        if (found)
            raise_signals(f->priv, found);
        if (w < n)
            break;
    }
    return total;
}

/* The terminal hangs up: its session's leader hears of it, and the group in front when the leader ends. */
static void master_release(struct file *f)
{
    struct tty *tty = f->priv;
    pthread_mutex_lock(&tty->lock);
    tty->master = -1;
    pthread_mutex_unlock(&tty->lock);
    {
        LOCKED(&kernel.tasklist_lock);
        struct process *leader = tty->sid ? process_by_pid(tty->pids, tty->sid) : NULL;
        if (leader) {
            leader->tty_old_pgrp = tty->pgrp;
            send_kernel_signal(leader, SIGHUP);
            send_kernel_signal(leader, SIGCONT);
        }
        tty_clear_session(tty);
    }
    tty_put(tty);
}

const struct file_ops tty_master_ops = {
    .name = "ptmx",
    .read = master_read,
    .write = master_write,
    .ioctl = tty_ioctl,
    .link_name = tty_link_name,
    .release = master_release,
};

/* A host pty of the private instance, unlocked (the guest's lock is the keep's). -errno. */
static int host_master(const struct devpts *d)
{
    if (d->host_root < 0)
        return -ENODEV;
    vfs_assume_self();
    _cleanup_close_ int fd = openat(d->host_root, "ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, TIOCSPTLCK, &(int){0}) < 0)
        return -errno;
    return steal_fd(&fd);
}

int tty_open_ptmx(struct task *t, int flags, struct file **ret)
{
    struct devpts *d = t->process->container->devpts;
    if (!d)
        return -ENODEV;
    int fd = host_master(d);
    if (fd < 0)
        return fd;
    struct tty *tty = tty_new(t->process->container);
    if (!tty) {
        close(fd);
        return -ENOSPC;
    }
    tty->master = fd;
    tty->locked = true;
    if (!d->has_uid)
        tty->uid = t->cred->fsuid;
    if (!d->has_gid)
        tty->gid = t->cred->fsgid;
    flags &= ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);
    *ret = file_new(&tty_master_ops, (unsigned)flags, 0, fd, tty);
    if (*ret)
        return 0;
    close(fd);
    tty->master = -1;
    tty_put(tty);
    return -ENOMEM;
}
