/* Terminals: life, opening, reading and writing the slave side, and who controls what. */
#include "sandbox/keep/device/tty.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "sandbox/keep/device/tty_internal.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/fs/vfs.h"

#define TTY_CHUNK 4096 /* of a read: the host's line buffer */

struct tty *tty_new(struct container *c)
{
    struct devpts *d = c->devpts;
    if (!d)
        return NULL;
    _cleanup_free_ struct tty *tty = calloc(1, sizeof(*tty));
    if (!tty)
        return NULL;
    LOCKED(&d->lock);
    unsigned i = 0;
    while (i < d->nslots && d->slots[i])
        i++;
    if (i >= d->max)
        return NULL;
    if (i == d->nslots) {
        struct tty **grown = reallocarray(d->slots, i + 8, sizeof(*grown));
        if (!grown)
            return NULL;
        memset(grown + i, 0, 8 * sizeof(*grown));
        d->slots = grown;
        d->nslots = i + 8;
    }
    d->slots[i] = tty;
    atomic_init(&tty->refs, 1);
    tty->devpts = devpts_get(d);
    tty->pids = pid_ns_get(c->pids);
    tty->index = i;
    tty->master = tty->console_fd = -1;
    tty->mode = d->mode;
    tty->uid = d->has_uid ? d->uid : 0;
    tty->gid = d->has_gid ? d->gid : 0;
    pthread_mutex_init(&tty->lock, NULL);
    return steal_ptr(&tty);
}

struct tty *tty_get(struct tty *tty)
{
    atomic_fetch_add(&tty->refs, 1);
    return tty;
}

void tty_put(struct tty *tty)
{
    if (!tty)
        return;
    struct devpts *d = tty->devpts;
    {
        /* Under the table's lock, so that devpts_tty cannot revive it. */
        LOCKED(&d->lock);
        if (atomic_fetch_sub(&tty->refs, 1) != 1)
            return;
        d->slots[tty->index] = NULL;
    }
    if (tty->console_fd >= 0)
        close(tty->console_fd);
    pthread_mutex_destroy(&tty->lock);
    pid_ns_put(tty->pids);
    free(tty);
    devpts_put(d);
}

/* Either end. */
static bool is_terminal(const struct file *f)
{
    return f->ops == &tty_slave_ops || f->ops == &tty_master_ops;
}

unsigned tty_devnum(const struct tty *tty)
{
    if (!tty)
        return 0;
    return (tty->index & 0xff) | TTY_SLAVE_MAJOR << 8 | (tty->index & ~0xffU) << 12;
}

pid_t tty_foreground(const struct tty *tty)
{
    return tty && tty->pgrp ? tty->pgrp : -1;
}

/* Signals and sessions -------------------------------------------------------------------------------------
 */

static siginfo_t kernel_info(int signo)
{
    siginfo_t info = {.si_signo = signo, .si_code = SI_KERNEL};
    return info;
}

bool tty_signal_foreground(struct tty *tty, int signo)
{
    if (!tty->pgrp)
        return false;
    siginfo_t info = kernel_info(signo);
    return send_signal_pgrp(tty->pids, tty->pgrp, &info) >= 0;
}

static bool is_background(struct task *t, struct tty *tty)
{
    LOCKED(&kernel.tasklist_lock);
    const struct process *p = t->process;
    return p->ctty == tty && tty->pgrp && p->pgid != tty->pgrp;
}

static int check_foreground(struct task *t, struct tty *tty, int signo)
{
    LOCKED(&kernel.tasklist_lock);
    const struct process *p = t->process;
    if (p->ctty != tty || !tty->pgrp || p->pgid == tty->pgrp)
        return 0;
    if (signal_blocked_or_ignored(t, signo))
        return signo == SIGTTIN ? -EIO : 0;
    if (pgrp_is_orphaned(p->container->pids, p->pgid, NULL))
        return -EIO;
    siginfo_t info = kernel_info(signo);
    (void)send_signal_pgrp(p->container->pids, p->pgid, &info);
    return -ERESTARTSYS;
}

int tty_check(struct task *t, struct tty *tty, int signo)
{
    int r = check_foreground(t, tty, signo);
    if (r ==
        -ERESTARTSYS) /* a stop is not delivered by the gate, but the call is to be made again after it */
        signal_interrupted(t);
    return r;
}

static void process_drop_tty(struct process *p)
{
    struct tty *tty = p->ctty;
    p->ctty = NULL;
    tty_put(tty);
}

void tty_forget(struct process *p)
{
    process_drop_tty(p);
    p->tty_old_pgrp = 0;
}

void tty_clear_session(struct tty *tty)
{
    pid_t sid = tty->sid;
    tty->sid = tty->pgrp = 0;
    if (!sid)
        return;
    for (struct process *p = tty->pids->processes; p; p = p->hh_pid.next) {
        if (p->ctty == tty)
            process_drop_tty(p);
    }
}

static void set_controlling(struct process *p, struct tty *tty)
{
    if (p->ctty != tty) {
        process_drop_tty(p);
        p->ctty = tty_get(tty);
    }
    tty->sid = p->sid;
    tty->pgrp = p->pgid;
}

void tty_set_controlling(struct task *t, struct tty *tty)
{
    set_controlling(t->process, tty);
}

void tty_make_controlling(struct process *p, struct file *f)
{
    if (!is_terminal(f))
        return;
    struct tty *tty = f->priv;
    set_controlling(p, tty);
    const struct cred *cred = p->leader ? p->leader->cred : NULL;
    if (cred)
        tty->uid = cred->euid;
}

void tty_session_exited(struct process *leader)
{
    siginfo_t hup = kernel_info(SIGHUP), cont = kernel_info(SIGCONT);
    struct tty *tty = leader->ctty;
    if (!tty) {
        if (leader->tty_old_pgrp) {
            (void)send_signal_pgrp(leader->container->pids, leader->tty_old_pgrp, &hup);
            (void)send_signal_pgrp(leader->container->pids, leader->tty_old_pgrp, &cont);
            leader->tty_old_pgrp = 0;
        }
        return;
    }
    tty_get(tty);
    if (tty->pgrp)
        (void)send_signal_pgrp(leader->container->pids, tty->pgrp, &hup);
    tty_clear_session(tty);
    tty_put(tty);
}

bool tty_host_signal(struct tty *tty, int signo)
{
    if (!tty)
        return false;
    if (signo != SIGHUP)
        return tty_signal_foreground(tty, signo);
    struct process *leader = tty->sid ? process_by_pid(tty->pids, tty->sid) : NULL;
    if (!leader)
        return false;
    leader->tty_old_pgrp = tty->pgrp;
    send_kernel_signal(leader, SIGHUP);
    send_kernel_signal(leader, SIGCONT);
    tty_clear_session(tty);
    return true;
}

/* Opening --------------------------------------------------------------------------------------------------
 */

static int slave_file(struct tty *tty, int hostfd, int flags, struct file **ret)
{
    flags &= ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);
    struct file *f = file_new(&tty_slave_ops, (unsigned)flags, 0, hostfd, tty);
    if (!f) {
        close(hostfd);
        return -ENOMEM;
    }
    tty_get(tty);
    *ret = f;
    return 0;
}

int tty_host_slave(struct tty *tty)
{
    LOCKED(&tty->lock);
    int fd;
    if (tty->console_fd >= 0)
        fd = fcntl(tty->console_fd, F_DUPFD_CLOEXEC, 3);
    else if (tty->master >= 0)
        fd = ioctl(tty->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    else
        return -EIO;
    return fd < 0 ? -errno : fd;
}

/* A session leader without a terminal that opens one gets it. */
static void maybe_take_control(struct task *t, struct tty *tty, int flags)
{
    LOCKED(&kernel.tasklist_lock);
    const struct process *p = t->process;
    bool readable = (flags & O_ACCMODE) != O_WRONLY;
    if (readable && !(flags & O_NOCTTY) && p->sid == p->pid && !p->ctty && !tty->sid)
        tty_set_controlling(t, tty);
}

int tty_open_slave(struct task *t, struct tty *tty, int flags, struct file **ret)
{
    pthread_mutex_lock(&tty->lock);
    bool locked = tty->locked, exclusive = tty->exclusive;
    pthread_mutex_unlock(&tty->lock);
    if (locked)
        return -EIO;
    if (exclusive && !capable(t, CAP_SYS_ADMIN))
        return -EBUSY;
    int fd = tty_host_slave(tty);
    if (fd < 0)
        return fd;
    int r = slave_file(tty, fd, flags, ret);
    if (r == 0)
        maybe_take_control(t, tty, flags);
    return r;
}

int tty_console_open(struct container *c, int host_slave_fd, struct file **ret)
{
    struct tty *tty = tty_new(c);
    int dup = fcntl(host_slave_fd, F_DUPFD_CLOEXEC, 3);
    if (!tty || dup < 0) {
        int r = tty ? -errno : -ENOMEM;
        tty_put(tty);
        close(host_slave_fd);
        return r;
    }
    /* The open file is the container's alone, so that its mode may be ours too. */
    int fl = fcntl(host_slave_fd, F_GETFL);
    (void)fcntl(host_slave_fd, F_SETFL, fl | O_NONBLOCK);
    tty->console_fd = host_slave_fd;
    int r = slave_file(tty, dup, O_RDWR, ret);
    struct tty *spare = tty;
    if (r == 0) {
        LOCKED(&c->devpts->lock);
        if (!c->devpts->console)
            c->devpts->console = steal_ptr(&spare);
    }
    tty_put(spare);
    return r;
}

int tty_console_reopen(struct task *t, int flags, struct file **ret)
{
    struct devpts *d = t->process->container->devpts;
    if (!d)
        return -ENXIO;
    pthread_mutex_lock(&d->lock);
    struct tty *tty = d->console ? tty_get(d->console) : NULL;
    pthread_mutex_unlock(&d->lock);
    int r = tty ? tty_open_slave(t, tty, flags, ret) : -ENXIO;
    tty_put(tty);
    return r;
}

int tty_open_index(struct task *t, unsigned index, int flags, struct file **ret)
{
    struct devpts *d = t->process->container->devpts;
    struct tty *tty = d ? devpts_tty(d, index) : NULL;
    if (!tty)
        return -ENXIO;
    int r = tty_open_slave(t, tty, flags, ret);
    tty_put(tty);
    return r;
}

int tty_open_controlling(struct task *t, int flags, struct file **ret)
{
    struct tty *tty = NULL;
    {
        LOCKED(&kernel.tasklist_lock);
        if (t->process->ctty)
            tty = tty_get(t->process->ctty);
    }
    if (!tty)
        return -ENXIO;
    int r = tty_open_slave(t, tty, flags | O_NOCTTY, ret);
    tty_put(tty);
    return r;
}

/* The slave's operations -----------------------------------------------------------------------------------
 */

/* How long a read that has got bytes so far goes on waiting (termios(3), MIN and TIME). */
struct read_wait {
    size_t min;          /* enough to return with */
    bool timed;          /* at most ms more milliseconds, */
    bool time_ends_read; /* after which the read is over; else it looks again */
    unsigned ms;
};

static struct read_wait read_wait_for(int fd, size_t want, size_t got)
{
    struct read_wait w = {.min = 1};
    struct termios tio;
    if (ioctl(fd, TCGETS, &tio) < 0 || (tio.c_lflag & ICANON))
        return w;
    unsigned min = tio.c_cc[VMIN], time = tio.c_cc[VTIME];
    w.min = min ? min : 1;
    if (w.min > want)
        w.min = want;
    if (time && (got || !min)) {
        w.timed = w.time_ends_read = true;
        w.ms = time * 100;
    } else if (min > 1 && !time) {
        /* The host calls the terminal readable at MIN bytes that were not read yet; some may have been. */
        w.timed = got > 0 || want < min;
        w.ms = 20;
    }
    return w;
}

static struct timespec deadline_in(unsigned ms)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    long ns = ts.tv_nsec + (long)(ms % 1000) * 1000000;
    ts.tv_sec += ms / 1000 + ns / 1000000000;
    ts.tv_nsec = ns % 1000000000;
    return ts;
}

/* One read of the host terminal with the blocking of a guest's, into buf. */
static ssize_t slave_read_host(struct task *t, struct file *f, char *buf, size_t want)
{
    size_t got = 0;
    for (;;) {
        ssize_t n = read(f->hostfd, buf + got, want - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return got ? (ssize_t)got : -errno;
        if (n == 0)
            return (ssize_t)got;
        if (n > 0)
            got += (size_t)n;
        if (got == want)
            return (ssize_t)got;
        struct read_wait w = read_wait_for(f->hostfd, want, got);
        if (got >= w.min)
            return (ssize_t)got;
        if (atomic_load(&f->flags) & O_NONBLOCK)
            return got ? (ssize_t)got : -EAGAIN;
        struct timespec until = deadline_in(w.timed ? w.ms : 0);
        int r = host_wait(t, f->hostfd, POLLIN, w.timed ? &until : NULL);
        if (r == -ETIMEDOUT && !w.time_ends_read)
            continue;
        if (r < 0)
            return got || r == -ETIMEDOUT ? (ssize_t)got : r;
    }
}

static ssize_t slave_read(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    (void)pos;
    int r = tty_check(t, f->priv, SIGTTIN);
    if (r < 0)
        return r;
    if (u->resid == 0)
        return 0;
    char buf[TTY_CHUNK];
    ssize_t n = slave_read_host(t, f, buf, u->resid < sizeof(buf) ? u->resid : sizeof(buf));
    return n > 0 ? uio_put(u, buf, (size_t)n) : n;
}

ssize_t tty_host_write(struct task *t, struct file *f, const char *buf, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t w = write(f->hostfd, buf + done, n - done);
        if (w > 0) {
            done += (size_t)w;
            continue;
        }
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0 && errno != EAGAIN)
            return done ? (ssize_t)done : -errno;
        if (atomic_load(&f->flags) & O_NONBLOCK)
            return done ? (ssize_t)done : -EAGAIN;
        int r = host_wait(t, f->hostfd, POLLOUT, NULL);
        if (r < 0)
            return done ? (ssize_t)done : r;
    }
    return (ssize_t)done;
}

static ssize_t slave_write(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    (void)pos;
    struct tty *tty = f->priv;
    struct termios tio;
    if (is_background(t, tty) && ioctl(f->hostfd, TCGETS, &tio) == 0 && (tio.c_lflag & TOSTOP)) {
        int r = tty_check(t, tty, SIGTTOU);
        if (r < 0)
            return r;
    }
    char buf[TTY_CHUNK];
    ssize_t total = 0;
    while (u->resid) {
        ssize_t n = uio_get(u, buf, u->resid < sizeof(buf) ? u->resid : sizeof(buf));
        ssize_t w = n > 0 ? tty_host_write(t, f, buf, (size_t)n) : n;
        if (w < 0)
            return total ? total : w;
        total += w;
        if (w < n)
            break;
    }
    return total;
}

static int slave_reopen(struct task *t, struct file *f, int flags, struct file **ret)
{
    return tty_open_slave(t, f->priv, flags, ret);
}

static void slave_release(struct file *f)
{
    tty_put(f->priv);
}

void tty_link_name(struct file *f, char *buf, size_t size)
{
    const struct tty *tty = f->priv;
    if (f->ops == &tty_master_ops)
        snprintf(buf, size, "/dev/pts/ptmx");
    else
        snprintf(buf, size, "/dev/pts/%u", tty->index);
}

/* Of files that were not opened by name (the first stdio, TIOCGPTPEER): what the name would give, so that
 * ttyname(3) finds it. */
static int tty_stat(struct task *t, struct file *f, struct stat *st)
{
    if (f->dentry)
        return dentry_stat(t, f->dentry, st);
    char path[64];
    tty_link_name(f, path, sizeof(path));
    _cleanup_dentry_ struct dentry *d = NULL;
    if (path_lookup(t, AT_FDCWD, path, LOOKUP_FOLLOW, &d) == 0 && dentry_stat(t, d, st) == 0 &&
        S_ISCHR(st->st_mode))
        return 0;
    const struct tty *tty = f->priv;
    memset(st, 0, sizeof(*st));
    st->st_mode = S_IFCHR | tty->mode;
    st->st_nlink = 1;
    st->st_uid = tty->uid;
    st->st_gid = tty->gid;
    st->st_ino = tty->index + 3;
    st->st_rdev = makedev(TTY_SLAVE_MAJOR, tty->index);
    st->st_blksize = 1024;
    return 0;
}

const struct file_ops tty_slave_ops = {
    .name = "tty",
    .read = slave_read,
    .write = slave_write,
    .ioctl = tty_ioctl,
    .stat = tty_stat,
    .link_name = tty_link_name,
    .reopen = slave_reopen,
    .release = slave_release,
};
