/* signalfd, signalfd4. All state is guarded by tasklist_lock.
 *
 * The host's object is an event descriptor that is readable while signals of the mask are pending. Where it
 * is a lane of a process with one thread that reads it often, its value may be a *token*: whoever reads that
 * has taken the signal for which it stands, and which is described in the process's mailbox (struct
 * gate_later). So its gate takes a signal by one call of the host's, and does not ring. Nobody can see the
 * difference:
 *
 * - a token is offered only for the one signal of the mask that is pending, sent to the process, and a
 * standard one: there is no order to keep, and nothing changes about it until it is taken;
 * - the host gives it once. The keep takes it back in the same way before it does anything else with that
 * signal, and finds out so whether it is pending still. Who only wants to know that looks whether it is there
 * (signalfd_hear);
 * - what else there is to read is SIGNALFD_ASK, upon which the gate rings, as it does when it finds nothing;
 * - the two descriptions take turns, by tokens taken: the one that the gate may be copying is not written to
 * before the next token was taken, which is after it;
 * - a description that others share is theirs to read for their own signals: from when another process reads
 * it, there are no tokens any more. A fork's child, which could take them, begins without its parent's native
 * descriptors. */
#include "sandbox/keep/signal/signalfd.h"
#include "sandbox/keep/strbuf.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/fs/hostio.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/lanes/mailbox.h"
#include "sandbox/keep/signal/signal.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"

_Static_assert(sizeof(struct signalfd_siginfo) == SIGNALFD_INFO, "mailbox.h");

struct signalfd_wait {
    struct signalfd_wait *next, *prev; /* in owner->signalfds */
    struct process *owner;             /* a reference */
    sigset64 mask;
    int hostfd;          /* the file's */
    uint64_t value;      /* its counter's, as far as the keep knows; 0: not readable */
    struct mailbox *box; /* a reference: of the process that has it as a lane, or had; NULL: none */
    bool shared;         /* there are to be no tokens */
    bool asked;          /* for a mailbox */
    unsigned taken;      /* tokens */
};

static bool is_offered(const struct signalfd_wait *w)
{
    return w->value >= SIGNALFD_TOKEN;
}

/* The one signal that is pending for w's owner, if it may be taken by a token. *set: all that are. */
static int only_pending(const struct signalfd_wait *w, sigset64 *set)
{
    const struct process *p = w->owner;
    sigset64 own = 0;
    struct task *t;

    DL_FOREACH2(p->threads, t, thread_next)
    own |= t->pending.set & w->mask;
    sigset64 sent = p->pending.set & w->mask;
    *set = own | sent;
    bool only = !own && sent && !(sent & (sent - 1)) && sent <= SIGBIT(31);
    return only ? __builtin_ctzll(sent) + 1 : 0;
}

/* Only of a process whose gate is all that can read it. */
static bool may_offer(const struct signalfd_wait *w)
{
    const struct process *p = w->owner;

    return p && w->box && !w->shared && p->nthreads == 1 && p->state == PROCESS_ALIVE && p->signalfds == w &&
           !w->next;
}

static const struct sigqueue *queued(const struct process *p, int signo)
{
    const struct sigqueue *q;

    DL_FOREACH(p->pending.queue, q)
    if (q->info.si_signo == signo)
        return q;
    return NULL;
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

/* The value that w is to have. */
static uint64_t value_for(const struct signalfd_wait *w)
{
    sigset64 set;
    int signo = only_pending(w, &set);
    const struct sigqueue *q = signo ? queued(w->owner, signo) : NULL;

    if (!set)
        return 0;
    return may_offer(w) && q && !q->timer ? SIGNALFD_TOKEN + w->taken % 2 : SIGNALFD_ASK;
}

/* What the next token stands for. */
static sigset64 describe(struct signalfd_wait *w)
{
    sigset64 set;
    struct signalfd_siginfo s;

    fill(&s, &queued(w->owner, only_pending(w, &set))->info);
    memcpy(w->box->later->signal[w->taken % 2], &s, sizeof(s));
    return set;
}

static void set_value(struct signalfd_wait *w, uint64_t value)
{
    sigset64 offered = value >= SIGNALFD_TOKEN && w->box ? describe(w) : 0;

    if (write(w->hostfd, &value, sizeof(value)) != sizeof(value))
        return; /* its guest has filled it */
    w->value = value;
    if (offered)
        w->owner->offered |= offered;
}

/* Its token is gone: so is the signal. */
static void was_taken(struct signalfd_wait *w)
{
    struct process *p = w->owner;
    sigset64 signal = p->offered;

    w->value = 0;
    w->taken++;
    p->offered = 0;
    sigpending_flush(p, &p->pending, signal);
}

/* Nothing can be read any more: what was not taken before is as if it had never been offered. */
static void make_unreadable(struct signalfd_wait *w)
{
    uint64_t v;
    bool there = read(w->hostfd, &v, sizeof(v)) == sizeof(v);

    if (is_offered(w) && !there) {
        was_taken(w);
        return;
    }
    if (is_offered(w))
        w->owner->offered = 0;
    w->value = 0;
}

/* [T] What a gate has read of SIGNALFD_ASK is not known: that is written anew. */
static void update(struct signalfd_wait *w)
{
    uint64_t value = value_for(w);
    bool sure = is_offered(w) || !w->box;

    if (value == w->value && (sure || !value))
        return;
    if (w->value)
        make_unreadable(w);
    value = value_for(w);
    if (value)
        set_value(w, value);
}

void signalfd_notify(struct process *p)
{
    struct signalfd_wait *w;
    DL_FOREACH(p->signalfds, w)
    update(w);
}

void signalfd_hear(struct process *p)
{
    struct signalfd_wait *w;
    DL_FOREACH(p->signalfds, w)
    {
        struct pollfd there = {.fd = w->hostfd, .events = POLLIN};
        if (is_offered(w) && poll(&there, 1, 0) == 0)
            was_taken(w);
    }
}

void signalfd_recall(struct process *p)
{
    struct signalfd_wait *w;
    DL_FOREACH(p->signalfds, w)
    if (is_offered(w))
        make_unreadable(w);
}

/* [T] Returns the former owner, whose reference the caller drops once the lock is gone. */
static struct process *set_owner(struct signalfd_wait *w, struct process *p)
{
    struct process *old = w->owner;
    if (old && is_offered(w))
        make_unreadable(w);
    if (old)
        DL_DELETE(old->signalfds, w);
    w->shared |= w->box && p;
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
            signalfd_notify(p); /* the others, too: it is not the only one any more */
    }
    if (old)
        process_put(old);
}

/* Takes one signal. Its number, or 0 when there is none, in which case the descriptor is not readable any
 * more. */
static int take(struct task *t, struct signalfd_wait *w, siginfo_t *info)
{
    LOCKED(&kernel.tasklist_lock);
    int signo = signal_dequeue(t, w->mask, info);
    update(w);
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
    mailbox_put(w->box);
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

/* t is all of its process, which has no children: those begin without native descriptors. */
static bool may_be_lane(struct task *t, const struct signalfd_wait *w, int fd, const struct sysargs *a)
{
    return a->listener && fd < GATE_LANE_FDS && !w->shared && !t->process->children && fast_is_possible(t) &&
           fast_is_alone(t) && !fdtable_shared(t->fdt) && mailbox_may_be_used(t);
}

/* [tasklist_lock not held] f is a lane at t's number fd: t's gate may take tokens there from now on. */
static void allow_tokens(struct task *t, struct signalfd_wait *w, int fd)
{
    struct mailbox *b = t->process->mm->mailbox;
    LOCKED(&kernel.tasklist_lock);
    if (w->owner != t->process || w->shared)
        return;
    if (!w->box) {
        atomic_fetch_add(&b->refs, 1);
        w->box = b;
    }
    w->shared |= w->box != b; /* another program's */
    if (!w->shared)
        __atomic_store_n(&b->later->signalfd, (uint32_t)fd + 1, __ATOMIC_RELEASE);
}

/* Once: where there can be none, it would be asked for again and again. */
static void want_mailbox(struct task *t, struct signalfd_wait *w)
{
    LOCKED(&kernel.tasklist_lock);
    if (w->asked)
        return;
    w->asked = true;
    t->wants_mailbox = true;
    signal_kick(t);
}

bool signalfd_was_read(struct task *t, const struct sysargs *a, int fd, struct file *f)
{
    struct signalfd_wait *w = f->priv;
    if (f->ops != &signalfd_ops || !file_nonblock(f) || !may_be_lane(t, w, fd, a))
        return false;
    int r = lane_tokens(t, a, fd, f);
    if (r == 0)
        allow_tokens(t, w, fd);
    else if (r == -ENODEV)
        want_mailbox(t, w);
    return r == 0 || r == -ENODEV;
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
    if (is_offered(w)) /* the token is for a signal of the mask that was */
        make_unreadable(w);
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
