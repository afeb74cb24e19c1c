/* poll, ppoll, select, pselect6: the host's poll on the files' host descriptors. */
#include <poll.h>
#include <string.h>
#include <sys/select.h>
#include <sys/syscall.h>

#include "sandbox/keep/events/poll.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/signal/signal.h"
#include "sandbox/keep/signal/signalfd.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"

#define POLL_DEFAULT (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM)
#define OUT_EVENTS (POLLOUT | POLLWRNORM | POLLWRBAND)
#define POLL_INLINE 16

/* The files behind a list of guest descriptors, and the host's list for them. */
struct poller {
    struct task *t;
    unsigned n;
    struct pollfd *fds; /* events and revents as the guest's; fd is the host's, -1: nothing to wait for */
    struct file **files;
    unsigned nouts;     /* of the files, those with an outfd that is waited for: */
    struct pollfd *out; /* &fds[n] */
    struct pollfd few_fds[2 * POLL_INLINE];
    struct file *few_files[POLL_INLINE];
};

static int poller_init(struct poller *p, struct task *t, unsigned n)
{
    p->t = t;
    p->n = n;
    p->fds = p->few_fds;
    p->files = p->few_files;
    if (n > POLL_INLINE) {
        p->fds = calloc(2 * (size_t)n, sizeof(*p->fds));
        p->files = calloc(n, sizeof(struct file *));
    } else {
        memset(p->few_files, 0, sizeof(p->few_files));
    }
    p->nouts = 0;
    p->out = p->fds + n;
    return p->fds && p->files ? 0 : -ENOMEM;
}

static void poller_done(struct poller *p)
{
    for (unsigned i = 0; p->files && i < p->n; i++)
        if (p->files[i])
            file_put(p->files[i]);
    if (p->fds != p->few_fds)
        free(p->fds);
    if (p->files != p->few_files)
        free(p->files);
}

/* Entry i is the guest's fd. Returns 1 if it is ready by nature, 0 if the host is to say, -EBADF. */
static int poller_set(struct poller *p, unsigned i, int fd, short events)
{
    struct pollfd *e = &p->fds[i];
    *e = (struct pollfd){-1, events, 0};
    if (fd < 0)
        return 0;
    struct file *f = p->files[i] = fd_get(p->t, fd);
    if (!f)
        return -EBADF;
    if (f->hostfd < 0 || (f->kind & FILE_NOPOLL)) {
        e->revents = (short)(POLL_DEFAULT & (events | POLLERR | POLLHUP));
        return e->revents != 0;
    }
    signalfd_rebind(f, p->t);
    e->fd = f->hostfd;
    if (f->outfd >= 0 && (events & OUT_EVENTS))
        p->out[p->nouts++] = (struct pollfd){f->outfd, (short)(events & OUT_EVENTS), 0};
    return 0;
}

/* What the outfds said belongs to their files' entries. Returns how many of those were counted already. */
static int fold_outs(struct poller *p)
{
    int twice = 0;
    const struct pollfd *out = p->out;
    for (unsigned i = 0; p->nouts && i < p->n; i++) {
        if (p->fds[i].fd < 0 || p->files[i]->outfd < 0 || !(p->fds[i].events & OUT_EVENTS))
            continue;
        twice += out->revents && p->fds[i].revents;
        p->fds[i].revents |= out++->revents;
    }
    return twice;
}

/* Waits. ready: that many entries are ready already. Returns how many have revents; 0 on time-out,
 * -ERESTARTSYS. Entries whose fd is -1 keep the revents that they have. */
static int poller_wait(struct poller *p, int ready, bool wait, const struct timespec *deadline)
{
    struct pollfd *e = p->fds;
    int n = 0;
    if (p->n) {
        short keep[POLL_INLINE] = {0};
        short *kept = p->n <= POLL_INLINE ? keep : calloc(p->n, sizeof(*kept));
        if (!kept)
            return -ENOMEM;
        for (unsigned i = 0; i < p->n; i++)
            kept[i] = e[i].fd < 0 ? e[i].revents : 0;
        n = poll(e, p->n + p->nouts, 0);
        if (n <= 0 && !ready && wait)
            n = host_wait_many(p->t, e, p->n + p->nouts, deadline);
        if (n > 0)
            n -= fold_outs(p);
        for (unsigned i = 0; i < p->n; i++)
            if (e[i].fd < 0)
                e[i].revents = kept[i];
        if (kept != keep)
            free(kept);
    } else if (wait) {
        n = host_wait_many(p->t, e, 0, deadline);
    }
    return n < 0 && ready ? ready : n + ready;
}

static long do_poll(struct task *t, const struct sysargs *a, bool wait, const struct timespec *deadline)
{
    uaddr_t ufds = a->arg[0];
    unsigned n = (unsigned)a->arg[1];
    struct poller p;
    struct pollfd few[POLL_INLINE];
    if (n > fd_limit(t))
        return -EINVAL;
    _cleanup_free_ struct pollfd *many = n > POLL_INLINE ? malloc(n * sizeof(*many)) : NULL;
    struct pollfd *fds = n > POLL_INLINE ? many : few;
    if (!fds)
        return -ENOMEM;
    if (copy_from_user(t, fds, ufds, n * sizeof(*fds)) < 0)
        return -EFAULT;
    int ready = 0, r = poller_init(&p, t, n);
    for (unsigned i = 0; r == 0 && i < n; i++) {
        int k = poller_set(&p, i, fds[i].fd, fds[i].events);
        if (k < 0)
            p.fds[i].revents = POLLNVAL;
        ready += k != 0;
    }
    if (r == 0)
        r = poller_wait(&p, ready, wait, deadline);
    for (unsigned i = 0; r >= 0 && i < n; i++)
        fds[i].revents = p.fds[i].revents;
    poller_done(&p);
    if (r >= 0 && copy_to_user(t, ufds, fds, n * sizeof(*fds)) < 0)
        r = -EFAULT;
    if (r >= 0)
        t->used_lane = fast_poll(t, a, fds, n);
    return r;
}

long sys_poll(struct task *t, const struct sysargs *a)
{
    int ms = (int)a->arg[2];
    struct timespec d, rel = {ms / 1000, ms % 1000 * 1000000L};
    if (ms > 0)
        deadline_from(&d, &rel);
    long r = do_poll(t, a, ms != 0, ms > 0 ? &d : NULL);
    if (r != -ERESTARTSYS)
        return r;
    if (ms <= 0)
        return -ERESTARTNOHAND;
    t->again.nr = SYS_poll;
    t->again.ours = true;
    t->again.deadline = d;
    return -ERESTART_RESTARTBLOCK;
}

long poll_on(struct task *t, const struct sysargs *a)
{
    struct sysargs poll = *a;
    poll.nr = SYS_poll;
    long r = do_poll(t, &poll, true, &t->again.deadline);
    return r == -ERESTARTSYS ? -ERESTART_RESTARTBLOCK : r;
}

/* A mask for the length of the call. 0 or -errno. */
static int mask_begin(struct task *t, uaddr_t mask, uint64_t size)
{
    sigset64 set;
    if (!mask)
        return 0;
    if (size != sizeof(set))
        return -EINVAL;
    if (get_user(t, &set, mask) < 0)
        return -EFAULT;
    set_temporary_mask(t, set);
    return 0;
}

static long mask_end(struct task *t, long r)
{
    if (r == -ERESTARTSYS)
        return -ERESTARTNOHAND; /* the mask stays until the signal's frame is built */
    restore_temporary_mask(t);
    return r;
}

static bool timespec_ok(const struct timespec *ts)
{
    return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < 1000000000L;
}

long sys_ppoll(struct task *t, const struct sysargs *a)
{
    struct timespec d, ts = {0};
    uaddr_t uts = a->arg[2];
    if (uts && get_user(t, &ts, uts) < 0)
        return -EFAULT;
    if (!timespec_ok(&ts))
        return -EINVAL;
    int m = mask_begin(t, a->arg[3], a->arg[4]);
    if (m < 0)
        return m;
    bool wait = !uts || ts.tv_sec || ts.tv_nsec;
    deadline_from(&d, &ts);
    long r = mask_end(t, do_poll(t, a, wait, uts ? &d : NULL));
    if (uts && wait) {
        ts = deadline_left(&d);
        (void)copy_to_user(t, uts, &ts, sizeof(ts));
    }
    return r;
}

#define IN_EVENTS (POLLIN | POLLRDNORM | POLLRDBAND)
#define IN_SET (IN_EVENTS | POLLHUP | POLLERR)
#define OUT_SET (OUT_EVENTS | POLLERR)
#define BITS_PER_WORD 64U

/* Three bit sets of n descriptors each, in the kernel's form (words of 64 bits). */
struct fdsets {
    unsigned n, words;
    uint64_t *in[3], *out[3];
    uaddr_t user[3];
    uint64_t *mem;
};

static int fdsets_init(struct fdsets *s, struct task *t, unsigned n, const uint64_t user[3])
{
    s->n = n;
    s->words = (n + BITS_PER_WORD - 1) / BITS_PER_WORD;
    s->mem = calloc(6 * (size_t)s->words + 1, sizeof(uint64_t));
    if (!s->mem)
        return -ENOMEM;
    for (unsigned k = 0; k < 3; k++) {
        s->user[k] = user[k];
        s->in[k] = s->mem + (size_t)k * s->words;
        s->out[k] = s->mem + (size_t)(k + 3) * s->words;
        if (user[k] && copy_from_user(t, s->in[k], user[k], s->words * sizeof(uint64_t)) < 0)
            return -EFAULT;
    }
    return 0;
}

static bool bit(const uint64_t *set, unsigned i)
{
    return set[i / BITS_PER_WORD] >> (i % BITS_PER_WORD) & 1;
}

static int fdsets_write(struct fdsets *s, struct task *t)
{
    for (unsigned k = 0; k < 3; k++)
        if (s->user[k] && copy_to_user(t, s->user[k], s->out[k], s->words * sizeof(uint64_t)) < 0)
            return -EFAULT;
    return 0;
}

static short wanted(const struct fdsets *s, unsigned i)
{
    return (short)((bit(s->in[0], i) ? IN_EVENTS : 0) | (bit(s->in[1], i) ? OUT_EVENTS : 0) |
                   (bit(s->in[2], i) ? POLLPRI : 0));
}

/* Sets the result bits for descriptor fd. Returns how many. */
static int report(struct fdsets *s, unsigned fd, short revents)
{
    static const short sets[3] = {IN_SET, OUT_SET, POLLPRI};
    int n = 0;
    for (unsigned k = 0; k < 3; k++)
        if (bit(s->in[k], fd) && (revents & sets[k])) {
            s->out[k][fd / BITS_PER_WORD] |= 1ULL << (fd % BITS_PER_WORD);
            n++;
        }
    return n;
}

static int select_wait(struct fdsets *s, struct poller *p, const int *guest, int ready, bool wait,
                       const struct timespec *deadline)
{
    for (;;) {
        int r = poller_wait(p, ready, wait, deadline), n = 0;
        if (r <= 0)
            return r;
        for (unsigned i = 0; i < p->n; i++)
            n += report(s, (unsigned)guest[i], p->fds[i].revents);
        if (n || !wait)
            return n;
        /* Hung up, but nobody asked for what that means: not to be waited for any more. */
        for (unsigned i = 0; i < p->n; i++)
            if (p->fds[i].revents)
                p->fds[i] = (struct pollfd){-1, 0, 0};
        ready = 0;
    }
}

static long do_select(struct task *t, struct fdsets *s, bool wait, const struct timespec *deadline)
{
    unsigned count = 0, ready = 0, at = 0;
    for (unsigned fd = 0; fd < s->n; fd++)
        count += wanted(s, fd) != 0;
    _cleanup_free_ int *guest = calloc(count + 1, sizeof(*guest));
    struct poller p;
    int r = guest ? poller_init(&p, t, count) : -ENOMEM;
    if (!guest)
        return r;
    for (unsigned fd = 0; r == 0 && fd < s->n; fd++) {
        short ev = wanted(s, fd);
        if (!ev)
            continue;
        guest[at] = (int)fd;
        int k = poller_set(&p, at++, (int)fd, ev);
        if (k < 0)
            r = k;
        else
            ready += (unsigned)k;
    }
    if (r == 0)
        r = select_wait(s, &p, guest, (int)ready, wait, deadline);
    poller_done(&p);
    return r;
}

static long select_call(struct task *t, const struct sysargs *a, bool wait, const struct timespec *deadline)
{
    struct fdsets s;
    int n = (int)a->arg[0];
    if (n < 0)
        return -EINVAL;
    unsigned limit = fd_limit(t);
    long r = fdsets_init(&s, t, (unsigned)n < limit ? (unsigned)n : limit, &a->arg[1]);
    if (r == 0)
        r = do_select(t, &s, wait, deadline);
    if (r >= 0 && fdsets_write(&s, t) < 0)
        r = -EFAULT;
    free(s.mem);
    return r;
}

long sys_select(struct task *t, const struct sysargs *a)
{
    struct timeval tv = {0};
    struct timespec d, ts;
    uaddr_t utv = a->arg[4];
    if (utv && get_user(t, &tv, utv) < 0)
        return -EFAULT;
    if (tv.tv_sec < 0 || tv.tv_usec < 0)
        return -EINVAL;
    ts = (struct timespec){tv.tv_sec + tv.tv_usec / 1000000, tv.tv_usec % 1000000 * 1000};
    bool wait = !utv || ts.tv_sec || ts.tv_nsec;
    deadline_from(&d, &ts);
    long r = select_call(t, a, wait, utv ? &d : NULL);
    if (utv && wait) {
        ts = deadline_left(&d);
        tv = (struct timeval){ts.tv_sec, ts.tv_nsec / 1000};
        (void)copy_to_user(t, utv, &tv, sizeof(tv));
    }
    return r == -ERESTARTSYS ? -ERESTARTNOHAND : r;
}

long sys_pselect6(struct task *t, const struct sysargs *a)
{
    struct timespec d, ts = {0};
    uaddr_t uts = a->arg[4];
    struct {
        uaddr_t mask;
        uint64_t size;
    } sig = {0};
    if (a->arg[5] && get_user(t, &sig, a->arg[5]) < 0)
        return -EFAULT;
    if (uts && get_user(t, &ts, uts) < 0)
        return -EFAULT;
    if (!timespec_ok(&ts))
        return -EINVAL;
    int m = mask_begin(t, sig.mask, sig.size);
    if (m < 0)
        return m;
    bool wait = !uts || ts.tv_sec || ts.tv_nsec;
    deadline_from(&d, &ts);
    long r = mask_end(t, select_call(t, a, wait, uts ? &d : NULL));
    if (uts && wait) {
        ts = deadline_left(&d);
        (void)copy_to_user(t, uts, &ts, sizeof(ts));
    }
    return r;
}
