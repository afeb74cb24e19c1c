/* epoll: a host epoll per guest epoll, over the files' host descriptors, with the guest's data as its data;
 * so what waits, wakes, triggers once or exclusively is the host's.
 *
 * The host knows a registration by (description, number in the caller's table). Streams that can be lanes are
 * registered by the host's own call on the guest's table, so that the gate can do it without the keep: such a
 * registration is what it would be on Linux, and ends with the description, which the keep closes when the
 * last guest has. For all other files the keep does it with its own numbers, and has an item for each: where
 * one file is registered under several guest numbers, the others get a duplicate of the host descriptor. What
 * the keep has registered does not become a lane, and what is one is the host's, but at numbers that are too
 * high for its table: so no number has both.
 * kernel.epoll_lock guards all lists here. */
#include "sandbox/keep/events/epoll.h"

#include <limits.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "sandbox/keep/fs/hostio.h"
#include "sandbox/keep/signal/signal.h"
#include "sandbox/keep/signal/signalfd.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/platform/listener.h"

struct epitem {
    struct epitem *next, *prev;           /* in epoll.items */
    struct epitem *file_next, *file_prev; /* in file.epitems */
    struct file *file;                    /* not counted: the item goes when the file does */
    struct file *ep;                      /* likewise */
    int guest_fd;
    int host_fd;
    int out_fd;  /* a duplicate of file->outfd, registered for the same; -1: not registered */
    bool own_fd; /* host_fd is a duplicate */
};

struct epoll {
    struct epitem *items;
};

#define BECAME_LANE 1 /* meanwhile: look again */
#define EVENTS_INLINE 32
#define EVENTS_MAX 1024

/* Lock held. */
static void item_free(struct epitem *it)
{
    struct epoll *e = it->ep->priv;
    (void)epoll_ctl(it->ep->hostfd, EPOLL_CTL_DEL, it->host_fd, NULL);
    if (it->out_fd >= 0) {
        (void)epoll_ctl(it->ep->hostfd, EPOLL_CTL_DEL, it->out_fd, NULL);
        (void)close(it->out_fd);
    }
    DL_DELETE(e->items, it);
    DL_DELETE2(it->file->epitems, it, file_prev, file_next);
    if (it->own_fd)
        (void)close(it->host_fd);
    free(it);
}

int epoll_yield(struct file *f)
{
    LOCKED(&kernel.epoll_lock);
    if (f->epitems)
        return -EBUSY;
    atomic_store(&f->laned, true);
    return 0;
}

void epoll_forget_file(struct file *f)
{
    LOCKED(&kernel.epoll_lock);
    while (f->epitems)
        item_free(f->epitems);
}

static void epoll_release(struct file *f)
{
    struct epoll *e = f->priv;
    {
        LOCKED(&kernel.epoll_lock);
        while (e->items)
            item_free(e->items);
    }
    free(e);
}

static const struct file_ops epoll_ops = {
    .name = "anon_inode:[eventpoll]",
    .stat = hostio_stat,
    .release = epoll_release,
};

static long do_create(struct task *t, int flags)
{
    if (flags & ~EPOLL_CLOEXEC)
        return -EINVAL;
    struct epoll *e = calloc(1, sizeof(*e));
    if (!e)
        return -ENOMEM;
    int fd = epoll_create1(EPOLL_CLOEXEC), r = -errno;
    if (fd >= 0)
        r = hostio_install(t, &epoll_ops, (unsigned)flags | O_RDWR, FILE_STREAM, fd, e);
    if (r < 0)
        free(e);
    return r;
}

long sys_epoll_create(struct task *t, const struct sysargs *a)
{
    return (int)a->arg[0] <= 0 ? -EINVAL : do_create(t, 0);
}

long sys_epoll_create1(struct task *t, const struct sysargs *a)
{
    return do_create(t, (int)a->arg[0]);
}

static struct epitem *item_find(struct file *ep, const struct file *f, int fd, bool *plain_used)
{
    struct epitem *it, *found = NULL;
    DL_FOREACH2(f->epitems, it, file_next)
    {
        if (it->ep != ep)
            continue;
        if (it->guest_fd == fd)
            found = it;
        if (!it->own_fd)
            *plain_used = true;
    }
    return found;
}

#define OUT_EVENTS ((uint32_t)EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND)

/* Lock held. What ev asks for of a file whose POLLOUT is another descriptor's is asked of that, too: the
 * guest may hear of both by an event each. 0 or -errno. */
static int watch_out(struct epitem *it, const struct epoll_event *ev)
{
    struct epoll_event out = *ev;
    out.events &= OUT_EVENTS | EPOLLET | EPOLLONESHOT;
    if (it->file->outfd < 0)
        return 0;
    if (!(ev->events & OUT_EVENTS)) {
        out.events = 0;
        return it->out_fd < 0 || epoll_ctl(it->ep->hostfd, EPOLL_CTL_MOD, it->out_fd, &out) == 0 ? 0 : -errno;
    }
    int op = it->out_fd < 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (it->out_fd < 0)
        it->out_fd = fcntl(it->file->outfd, F_DUPFD_CLOEXEC, 0);
    return it->out_fd < 0 || epoll_ctl(it->ep->hostfd, op, it->out_fd, &out) < 0 ? -errno : 0;
}

/* Of the events that the guest asks for, those that f's host descriptor has. */
static struct epoll_event hosts_part(const struct file *f, struct epoll_event ev)
{
    if (f->outfd >= 0)
        ev.events &= ~OUT_EVENTS;
    return ev;
}

/* Lock held. */
static int item_add(struct file *ep, struct file *f, int fd, bool plain_used, struct epoll_event *ev)
{
    struct epoll *e = ep->priv;
    struct epitem *it = calloc(1, sizeof(*it));
    if (!it)
        return -ENOMEM;
    struct epoll_event host = hosts_part(f, *ev);
    it->ep = ep;
    it->file = f;
    it->out_fd = -1;
    it->guest_fd = fd;
    it->own_fd = plain_used || f->hostfd < 0;
    it->host_fd = f->hostfd;
    if (it->own_fd)
        it->host_fd = fcntl(f->hostfd < 0 ? kernel.ready_fd : f->hostfd, F_DUPFD_CLOEXEC, 0);
    int r = it->host_fd < 0 ? -errno : 0;
    if (r == 0 && epoll_ctl(ep->hostfd, EPOLL_CTL_ADD, it->host_fd, &host) < 0)
        r = -errno;
    if (r < 0) {
        if (it->own_fd && it->host_fd >= 0)
            (void)close(it->host_fd);
        free(it);
        return r;
    }
    DL_APPEND(e->items, it);
    DL_APPEND2(f->epitems, it, file_prev, file_next);
    r = watch_out(it, ev);
    if (r < 0)
        item_free(it);
    return r;
}

/* laned: f was one when it was found to be the keep's to do. */
static int do_ctl(struct file *ep, int op, struct file *f, int fd, struct epoll_event *ev, bool laned)
{
    bool plain_used = false;
    if (op == EPOLL_CTL_MOD && (ev->events & EPOLLEXCLUSIVE))
        return -EINVAL;
    LOCKED(&kernel.epoll_lock);
    if (atomic_load(&f->laned) && !laned)
        return BECAME_LANE;
    struct epitem *it = item_find(ep, f, fd, &plain_used);
    if (op == EPOLL_CTL_ADD)
        return it ? -EEXIST : item_add(ep, f, fd, plain_used, ev);
    if (!it)
        return -ENOENT;
    if (op == EPOLL_CTL_DEL) {
        item_free(it);
        return 0;
    }
    struct epoll_event host = hosts_part(f, *ev);
    return epoll_ctl(ep->hostfd, EPOLL_CTL_MOD, it->host_fd, &host) < 0 ? -errno : watch_out(it, ev);
}

/* Whose registration it is: SYS_CONTINUE for the host's, 0 for the keep's, or -errno. */
static long route(struct task *t, const struct sysargs *a, struct file *ep, struct file *f)
{
    int op = (int)a->arg[1];
    if (op != EPOLL_CTL_ADD && !(atomic_load(&ep->laned) && atomic_load(&f->laned)))
        return 0; /* nothing was ever added by the host */
    int r = lane_stream_now(t, a, (int)a->arg[2], f);
    if (r < 0)
        return atomic_load(&f->laned) && r != -EBADF ? -ENOMEM : 0;
    return lane_stream_now(t, a, (int)a->arg[0], ep) < 0 ? -ENOMEM : SYS_CONTINUE;
}

static long keeps_ctl(struct task *t, const struct sysargs *a, struct file *ep, struct file *f, bool laned)
{
    int op = (int)a->arg[1];
    struct epoll_event ev = {0};
    if (op != EPOLL_CTL_DEL && get_user(t, &ev, a->arg[3]) < 0)
        return -EFAULT;
    if (!ep || !f)
        return -EBADF;
    if (f->kind & FILE_NOPOLL)
        return -EPERM;
    if (ep == f || ep->ops != &epoll_ops || op < EPOLL_CTL_ADD || op > EPOLL_CTL_MOD)
        return -EINVAL;
    ev.events &= ~(uint32_t)EPOLLWAKEUP;
    if (op == EPOLL_CTL_ADD)
        signalfd_rebind(f, t);
    return do_ctl(ep, op, f, (int)a->arg[2], &ev, laned);
}

long sys_epoll_ctl(struct task *t, const struct sysargs *a)
{
    _cleanup_file_ struct file *ep = fd_get(t, (int)a->arg[0]);
    _cleanup_file_ struct file *f = fd_get(t, (int)a->arg[2]);
    int op = (int)a->arg[1];
    bool sound = ep && f && ep != f && ep->ops == &epoll_ops && op >= EPOLL_CTL_ADD && op <= EPOLL_CTL_MOD;
    long r;
    do {
        bool laned = f && atomic_load(&f->laned);
        r = sound ? route(t, a, ep, f) : 0;
        if (r == 0)
            r = keeps_ctl(t, a, ep, f, laned);
    } while (r == BECAME_LANE);
    t->used_lane = r == SYS_CONTINUE;
    return r;
}

static bool has_signal(struct task *t)
{
    LOCKED(&kernel.tasklist_lock);
    return signal_pending(t) || t->sleep_stopped;
}

/* deadline NULL: none. */
static int wait_blocking(struct task *t, int epfd, struct epoll_event *ev, int n,
                         const struct timespec *deadline)
{
    for (;;) {
        struct timespec left;
        if (deadline)
            left = deadline_left(deadline);
        if (host_block_begin(t) < 0)
            return -EINTR;
        worker_about_to_block();
        int r = epoll_pwait2(epfd, ev, n, deadline ? &left : NULL, host_wait_sigmask());
        int e = errno;
        host_block_end(t);
        if (r >= 0)
            return r;
        if (e != EINTR || has_signal(t))
            return -e;
    }
}

/* rel NULL: for ever. */
static long do_wait(struct task *t, const struct sysargs *a, const struct timespec *rel)
{
    struct epoll_event few[EVENTS_INLINE];
    int max = (int)a->arg[2];
    if (max <= 0 || max > INT_MAX / (int)sizeof(struct epoll_event))
        return -EINVAL;
    _cleanup_file_ struct file *f = fd_get(t, (int)a->arg[0]);
    if (!f)
        return -EBADF;
    if (f->ops != &epoll_ops)
        return -EINVAL;
    if (max > EVENTS_MAX)
        max = EVENTS_MAX;
    _cleanup_free_ struct epoll_event *many =
        max > EVENTS_INLINE ? malloc((size_t)max * sizeof(*many)) : NULL;
    struct epoll_event *ev = max > EVENTS_INLINE ? many : few;
    if (!ev)
        return -ENOMEM;
    int r = epoll_wait(f->hostfd, ev, max, 0);
    if (r < 0)
        return -errno;
    if (r == 0 && (!rel || rel->tv_sec || rel->tv_nsec)) {
        struct timespec d;
        r = wait_blocking(t, f->hostfd, ev, max, rel ? deadline_from(&d, rel) : NULL);
    }
    if (r > 0 && copy_to_user(t, a->arg[1], ev, (size_t)r * sizeof(*ev)) < 0)
        return -EFAULT;
    if (r > 0 && (a->nr == SYS_epoll_wait || !a->arg[4]))
        t->used_lane = lane_stream(t, a, (int)a->arg[0], f);
    return r;
}

static long wait_ms(struct task *t, const struct sysargs *a)
{
    int ms = (int)a->arg[3];
    struct timespec rel = {ms / 1000, ms % 1000 * 1000000L};
    return do_wait(t, a, ms < 0 ? NULL : &rel);
}

long sys_epoll_wait(struct task *t, const struct sysargs *a)
{
    return wait_ms(t, a);
}

/* The mask of pwait and pwait2. 0 or -errno. */
static int mask_begin(struct task *t, const struct sysargs *a)
{
    sigset64 set;
    if (!a->arg[4])
        return 0;
    if (a->arg[5] != sizeof(set))
        return -EINVAL;
    if (get_user(t, &set, a->arg[4]) < 0)
        return -EFAULT;
    set_temporary_mask(t, set);
    return 0;
}

static long mask_end(struct task *t, long r)
{
    if (r != -EINTR)
        restore_temporary_mask(t);
    return r;
}

long sys_epoll_pwait(struct task *t, const struct sysargs *a)
{
    int r = mask_begin(t, a);
    return r < 0 ? r : mask_end(t, wait_ms(t, a));
}

long sys_epoll_pwait2(struct task *t, const struct sysargs *a)
{
    struct timespec rel;
    uaddr_t urel = a->arg[3];
    if (urel && get_user(t, &rel, urel) < 0)
        return -EFAULT;
    if (urel && (rel.tv_sec < 0 || rel.tv_nsec < 0 || rel.tv_nsec >= 1000000000L))
        return -EINVAL;
    int r = mask_begin(t, a);
    return r < 0 ? r : mask_end(t, do_wait(t, a, urel ? &rel : NULL));
}
