/* signalfd, signalfd4. All state is guarded by tasklist_lock. */
#include "sandbox/keep/pseudo.h"
#include "sandbox/keep/signalfd.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include "sandbox/keep/hostio.h"
#include "sandbox/keep/signal.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task.h"

struct signalfd_wait {
    struct signalfd_wait *next, *prev; /* in owner->signalfds */
    struct process *owner;             /* a reference */
    sigset64 mask;
    int hostfd;    /* the file's */
    bool readable; /* it is; these two functions alone change that */
};

static void make_readable(struct signalfd_wait *w)
{
    uint64_t one = 1;
    if (!w->readable)
        w->readable = write(w->hostfd, &one, sizeof(one)) == sizeof(one);
}

static void make_unreadable(struct signalfd_wait *w)
{
    uint64_t v;
    if (w->readable)
        w->readable = read(w->hostfd, &v, sizeof(v)) != sizeof(v);
}

/* [T] */
static void update(struct signalfd_wait *w)
{
    struct task *t;
    DL_FOREACH2(w->owner->threads, t, thread_next)
    {
        if (signal_pending_set(t) & w->mask) {
            make_readable(w);
            return;
        }
    }
    make_unreadable(w);
}

void signalfd_notify(struct process *p)
{
    struct signalfd_wait *w;
    DL_FOREACH(p->signalfds, w)
    update(w);
}

/* [T] Returns the former owner, whose reference the caller drops once the lock is gone. */
static struct process *set_owner(struct signalfd_wait *w, struct process *p)
{
    struct process *old = w->owner;
    if (old)
        DL_DELETE(old->signalfds, w);
    w->owner = p ? process_get(p) : NULL;
    if (p)
        DL_APPEND(p->signalfds, w);
    return old;
}

static void bind_to(struct signalfd_wait *w, struct process *p)
{
    struct process *old = NULL;
    {
        LOCKED(&kernel.tasklist_lock);
        if (w->owner == p)
            return;
        old = set_owner(w, p);
        if (p)
            update(w);
    }
    if (old)
        process_put(old);
}

static void fill(struct signalfd_siginfo *s, const siginfo_t *i)
{
    memset(s, 0, sizeof(*s));
    s->ssi_signo = (uint32_t)i->si_signo;
    s->ssi_errno = i->si_errno;
    s->ssi_code = i->si_code;
    if (i->si_code == SI_TIMER) {
        s->ssi_tid = (uint32_t)i->si_timerid;
        s->ssi_overrun = (uint32_t)i->si_overrun;
        s->ssi_ptr = (uint64_t)(uintptr_t)i->si_ptr;
        s->ssi_int = i->si_int;
        return;
    }
    if (i->si_code > 0 && (i->si_signo == SIGSEGV || i->si_signo == SIGBUS || i->si_signo == SIGFPE ||
                           i->si_signo == SIGILL || i->si_signo == SIGTRAP)) {
        s->ssi_addr = (uint64_t)(uintptr_t)i->si_addr;
        return;
    }
    s->ssi_pid = (uint32_t)i->si_pid;
    s->ssi_uid = i->si_uid;
    if (i->si_code > 0 && i->si_signo == SIGCHLD) {
        s->ssi_status = i->si_status;
        s->ssi_utime = (uint64_t)i->si_utime;
        s->ssi_stime = (uint64_t)i->si_stime;
    } else if (i->si_code < 0) {
        s->ssi_ptr = (uint64_t)(uintptr_t)i->si_ptr;
        s->ssi_int = i->si_int;
    }
}

/* Takes one signal. Its number, or 0 when there is none, in which case the descriptor is not readable any
 * more. */
static int take(struct task *t, struct signalfd_wait *w, siginfo_t *info)
{
    LOCKED(&kernel.tasklist_lock);
    int signo = signal_dequeue(t, w->mask, info);
    if (!(signal_pending_set(t) & w->mask))
        make_unreadable(w);
    return signo;
}

static ssize_t signalfd_read(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    struct signalfd_wait *w = f->priv;
    struct signalfd_siginfo s;
    siginfo_t info;
    ssize_t done = 0;
    (void)pos;
    if (u->resid < sizeof(s))
        return -EINVAL;
    bind_to(w, t->process);
    while (u->resid >= sizeof(s)) {
        if (take(t, w, &info)) {
            fill(&s, &info);
            if (uio_put(u, &s, sizeof(s)) != sizeof(s))
                return done ? done : -EFAULT;
            done += (ssize_t)sizeof(s);
            continue;
        }
        if (done || file_nonblock(f))
            return done ? done : -EAGAIN;
        int r = host_wait(t, f->hostfd, POLLIN, NULL);
        if (r < 0)
            return r;
    }
    return done;
}

static void signalfd_release(struct file *f)
{
    struct signalfd_wait *w = f->priv;
    bind_to(w, NULL);
    free(w);
}

static void signalfd_fdinfo(struct task *t, struct file *f, struct strbuf *sb)
{
    (void)t;
    const struct signalfd_wait *w = f->priv;
    LOCKED(&kernel.tasklist_lock);
    sb_printf(sb, "sigmask:\t%016llx\n", (unsigned long long)w->mask);
}

static const struct file_ops signalfd_ops = {
    .name = "anon_inode:[signalfd]",
    .show_fdinfo = signalfd_fdinfo,
    .read = signalfd_read,
    .stat = hostio_stat,
    .release = signalfd_release,
};

void signalfd_rebind(struct file *f, struct task *t)
{
    if (f->ops == &signalfd_ops)
        bind_to(f->priv, t->process);
}

static long signalfd_new(struct task *t, sigset64 mask, int flags)
{
    struct signalfd_wait *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->mask = mask;
    w->hostfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->hostfd < 0) {
        free(w);
        return -errno;
    }
    struct file *f = file_new(&signalfd_ops, (unsigned)flags | O_RDWR, 0, w->hostfd, w);
    if (!f) {
        (void)close(w->hostfd);
        free(w);
        return -ENOMEM;
    }
    bind_to(w, t->process);
    int r = fd_install(t, f, flags & SFD_CLOEXEC, 0);
    if (r < 0) /* out of the list, before what it names is another file */
        file_put(f);
    return r;
}

static long do_signalfd(struct task *t, const struct sysargs *a, int flags)
{
    sigset64 mask;
    int fd = (int)a->arg[0];
    if ((flags & ~(SFD_CLOEXEC | SFD_NONBLOCK)) || a->arg[2] != sizeof(mask))
        return -EINVAL;
    if (get_user(t, &mask, a->arg[1]) < 0)
        return -EFAULT;
    mask &= ~(SIGBIT(SIGKILL) | SIGBIT(SIGSTOP));
    if (fd == -1)
        return signalfd_new(t, mask, flags);
    _cleanup_file_ struct file *f = fd_get(t, fd);
    if (!f)
        return -EBADF;
    if (f->ops != &signalfd_ops)
        return -EINVAL;
    struct signalfd_wait *w = f->priv;
    LOCKED(&kernel.tasklist_lock);
    w->mask = mask;
    update(w);
    return fd;
}

long sys_signalfd(struct task *t, const struct sysargs *a)
{
    return do_signalfd(t, a, 0);
}

long sys_signalfd4(struct task *t, const struct sysargs *a)
{
    return do_signalfd(t, a, (int)a->arg[3]);
}
