/* Lanes: a file's host descriptor at the guest's own number. fdtable_internal.h says what a table knows of
 * them. */
#include "sandbox/keep/fs/fdtable_internal.h"

#include <sched.h>
#include <time.h>

#include "sandbox/keep/events/epoll.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/lanes/kept.h"
#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/hostproc.h"
#include "sandbox/keep/net/sock.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/platform/listener.h"

pthread_mutex_t *fdtable_pins(struct fdtable *ft)
{
    return &ft->lock;
}

/* notif_addfd, with the guest's thread held on this CPU meanwhile: it has to run to take the descriptor while
 * we wait for it, and waking it on another, idle CPU costs more than all the rest. Not where the descriptor
 * comes with the answer: there it costs more than it saves, and the guest would go on with one CPU.
 * The table's lock is held, which is what others wait for who ask which CPUs a thread may use (fdtable_pins).
 */
static int addfd_here(struct task *t, const struct sysargs *a, int hostfd, int at)
{
    cpu_set_t all, here;
    int cpu = sched_getcpu();
    CPU_ZERO(&here);
    if (cpu >= 0 && cpu < CPU_SETSIZE)
        CPU_SET(cpu, &here);
    bool moved = sched_getaffinity(t->host_tid, sizeof(all), &all) == 0 && CPU_COUNT(&all) > 1 &&
                 CPU_ISSET(cpu, &all) && sched_setaffinity(t->host_tid, sizeof(here), &here) == 0;
    int r = notif_addfd(a, hostfd, at);
    if (moved)
        (void)sched_setaffinity(t->host_tid, sizeof(all), &all);
    return r;
}

#define CLOSE_LOOKS 2000
#define CLOSE_YIELDS 20
#define CLOSE_NAP_NS 500000L

/* Another thread has yet to close fd natively, as it was told to: at once, if the host lets it run; it needs
 * nothing of the keep's for that. patient: waits for it, a second at most. Lock held. */
static bool is_closing(struct task *t, struct fdtable *ft, unsigned fd, bool patient)
{
    const struct timespec nap = {.tv_nsec = CLOSE_NAP_NS};
    if (ft->slots[fd].lane != LANE_CLOSING)
        return false;
    for (int i = 0; i < (patient ? CLOSE_LOOKS : 1); i++) {
        if (!host_proc_has_fd(t->host_tid, fd)) {
            ft->slots[fd].lane = LANE_NONE;
            return false;
        }
        if (patient && i < CLOSE_YIELDS)
            sched_yield();
        else if (patient)
            (void)nanosleep(&nap, NULL);
    }
    return true;
}

/* Lock held; fd is in range and its file is f. */
static int donate(struct task *t, struct fdtable *ft, const struct sysargs *a, int fd, struct file *f)
{
    if (ft->slots[fd].lane == LANE_HERE)
        return 0;
    if (is_closing(t, ft, (unsigned)fd, true))
        return -EBUSY;
    if (!(f->kind & FILE_PLAIN)) {
        fast_lane_clear(t, (unsigned)fd); /* what was closed there may have been one */
        later_changes(t);
    }
    if (fd >= GATE_POLL_FD && fd < GATE_LANE_FDS)
        fast_polls_off(t);
    if (fd == GATE_KEPT_FD || fd == GATE_HOME_FD)
        kept_off(t);
    int r = addfd_here(t, a, f->lanefd >= 0 ? f->lanefd : f->hostfd, fd);
    if (r < 0)
        return r;
    ft->slots[fd].lane = LANE_HERE;
    return 0;
}

int fd_lend(struct task *t, const struct sysargs *a, int hostfd, int number)
{
    struct fdtable *ft = t->fdt;
    LOCKED(&ft->lock);
    if ((unsigned)number < ft->size && (ft->slots[number].file || ft->slots[number].lane != LANE_NONE))
        return -EBUSY;
    int r = addfd_here(t, a, hostfd, number);
    return r < 0 ? r : 0;
}

void fd_unlend(struct task *t, const struct sysargs *a, int number)
{
    struct fdtable *ft = t->fdt;
    LOCKED(&ft->lock);
    if ((unsigned)number >= ft->size || ft->slots[number].lane == LANE_NONE)
        (void)notif_addfd(a, kernel.dead_fd, number);
}

int lane_donate(struct task *t, const struct sysargs *a, int fd, struct file *f)
{
    struct fdtable *ft = t->fdt;
    if (!(f->kind & FILE_LANE) || f->hostfd < 0)
        return -EINVAL;
    LOCKED(&ft->lock);
    if (fd < 0 || (unsigned)fd >= ft->size || ft->slots[fd].file != f)
        return -EBADF;
    return donate(t, ft, a, fd, f);
}

/* Lock held. The gate may use the lane that f has become, and perhaps close it by itself. */
static void lane_set_plain(struct task *t, struct fdtable *ft, unsigned fd, const struct file *f)
{
    bool plain = (f->kind & FILE_PLAIN) && sole_owner(ft);
    fast_lane_set(t, fd, plain ? FAST_PLAIN : FAST_ANY);
    if (plain && fast_is_alone(t) && fast_is_possible(t))
        later_allow(t, fd, f);
}

bool lane_ready(struct task *t, const struct sysargs *a, int fd, struct file *f, size_t len)
{
    struct fdtable *ft = t->fdt;
    if (!(f->kind & FILE_LANE) || f->hostfd < 0 || (kernel.lanes_off && !f->ops->in_memory) ||
        kept_serves(t, fd))
        return false;
    LOCKED(&ft->lock);
    if ((unsigned)fd >= ft->size || ft->slots[fd].file != f)
        return false;
    struct slot *s = &ft->slots[fd];
    if (s->lane != LANE_HERE && len < LANE_BYTES && s->uses < LANE_USES) {
        s->uses++;
        fast_used(t);
        return false;
    }
    if (!a->listener)
        return true; /* by the doorbell, which can donate */
    if (donate(t, ft, a, fd, f) < 0)
        return false;
    lane_set_plain(t, ft, (unsigned)fd, f);
    return true;
}

bool lane_for_host(struct task *t, const struct sysargs *a, int fd, struct file *f)
{
    return a->listener && lane_ready(t, a, fd, f, SIZE_MAX);
}

bool lane_plain(struct task *t, const struct sysargs *a, int fd, struct file *f)
{
    return (f->kind & FILE_PLAIN) && sole_owner(t->fdt) && (kept_serves(t, fd) || lane_ready(t, a, fd, f, 0));
}

bool lane_pays_at_open(struct task *t, unsigned times)
{
    return !fdtable_shared(t->fdt) && fast_is_possible(t) && fast_opens_pay(t, times);
}

/* A program's loader, which reads and maps what it opens: its gate does (sandbox/gate/loader.c). */
static bool is_loader(struct task *t, const struct sysargs *a)
{
    return a->listener && gate_is_loader(a->ip) && fast_is_possible(t) && fast_is_alone(t) &&
           !fdtable_shared(t->fdt);
}

/* The guest goes on before the ioctl is over: all is to be said by then. */
long fd_return_lane(struct task *t, const struct sysargs *a, struct file *f, bool cloexec)
{
    struct fdtable *ft = t->fdt;
    bool plain = f->kind & FILE_PLAIN;
    int fd = fd_return(t, f, cloexec);
    if (fd < 0 || !plain)
        return fd;
    bool pays = is_loader(t, a) || (fast_opened(t, a->listener != NULL) && lane_pays_at_open(t, 1));
    if (kept_opened(t, a, fd, f, cloexec) || !pays)
        return fd;
    LOCKED(&ft->lock);
    struct slot *s = &ft->slots[fd];
    if (s->file != f)
        return fd;
    uint8_t before = s->lane;
    s->lane = LANE_HERE;
    if (a->listener)
        lane_set_plain(t, ft, (unsigned)fd, f);
    if (syscall_answer_fd(t, a, f->hostfd, fd) >= 0)
        return SYS_NOANSWER;
    later_forbid(t, (unsigned)fd);
    fast_lane_clear(t, (unsigned)fd);
    s->lane = before;
    return fd;
}

int fd_return_donated(struct task *t, const struct sysargs *a, struct file *f)
{
    _cleanup_file_ struct file *held = file_get(f);
    int fd = fd_return(t, f, true);
    int r = fd < 0 ? fd : lane_donate(t, a, fd, held);
    bool native;
    if (fd >= 0 && r < 0)
        (void)fd_close(t, a, fd, &native);
    return r < 0 ? r : fd;
}

static int become_lane(struct file *f)
{
    LOCKED(&f->pos_lock);
    if (atomic_load(&f->laned))
        return 0;
    if (f->epitems) /* which only the keep's numbers lead to */
        return -EBUSY;
    int r = f->ops->become_lane ? f->ops->become_lane(f) : 0;
    return r < 0 ? r : epoll_yield(f);
}

/* Lock held. As lane_set_plain. */
static void lane_set_stream(struct task *t, unsigned fd, const struct file *f)
{
    fast_lane_set(t, fd, sock_is_stream(f) ? FAST_SOCKET : FAST_ANY);
    later_sends(t, fd, f);
}

/* Lock held. */
static int donate_stream(struct task *t, struct fdtable *ft, const struct sysargs *a, int fd, struct file *f)
{
    if (ft->slots[fd].lane == LANE_HERE)
        return 0;
    int r = become_lane(f);
    if (r == 0)
        r = donate(t, ft, a, fd, f);
    if (r == 0)
        atomic_fetch_add(&t->process->mm->streams, 1);
    return r;
}

long fd_return_stream(struct task *t, const struct sysargs *a, struct file *f, bool cloexec)
{
    struct fdtable *ft = t->fdt;
    bool fresh = later_may_be_fresh(t, f);
    int fd = fd_return(t, f, cloexec);
    if (fd >= 0 && fresh)
        later_fresh(t, (unsigned)fd, f);
    if (fd < 0 || atomic_load(&t->process->mm->streams) < LANES_USUAL || !fast_is_possible(t))
        return fd;
    kept_installed(t, fd);
    LOCKED(&ft->lock);
    struct slot *s = &ft->slots[fd];
    if (s->file != f || !(f->kind & FILE_STREAM) || atomic_load(&f->barred) ||
        is_closing(t, ft, (unsigned)fd, false) || become_lane(f) < 0)
        return fd;
    fast_lane_renew(t, (unsigned)fd, sock_is_stream(f) ? FAST_SOCKET : FAST_ANY);
    s->lane = LANE_HERE;
    later_sends(t, (unsigned)fd, f);
    int lent = f->lanefd >= 0 ? f->lanefd : f->hostfd, left = left_begin(t, ft, (unsigned)fd, f, 1);
    if (syscall_answer_fd(t, a, lent, fd) == 0) {
        left_over(ft, (unsigned)fd, left);
        return SYS_NOANSWER;
    }
    left_undo(f, left);
    fast_lane_clear(t, (unsigned)fd);
    s->lane = LANE_STALE;
    return fd;
}

bool lane_stream(struct task *t, const struct sysargs *a, int fd, struct file *f)
{
    struct fdtable *ft = t->fdt;
    if (!(f->kind & FILE_STREAM) || !fast_is_possible(t))
        return false;
    LOCKED(&ft->lock);
    if (fd < 0 || (unsigned)fd >= ft->size || ft->slots[fd].file != f || atomic_load(&f->barred) ||
        !a->listener)
        return false;
    struct slot *s = &ft->slots[fd];
    if (s->lane != LANE_HERE) {
        if (s->uses < LANE_USES) {
            s->uses++;
            return false;
        }
        if (donate_stream(t, ft, a, fd, f) < 0)
            return false;
    }
    lane_set_stream(t, (unsigned)fd, f);
    return true;
}

int lane_stream_now(struct task *t, const struct sysargs *a, int fd, struct file *f)
{
    struct fdtable *ft = t->fdt;
    if (!(f->kind & FILE_STREAM) || kernel.lanes_off || kernel.strace)
        return -EINVAL;
    LOCKED(&ft->lock);
    if (fd < 0 || (unsigned)fd >= ft->size || ft->slots[fd].file != f)
        return -EBADF;
    int r = donate_stream(t, ft, a, fd, f);
    if (r == 0 && fast_is_possible(t) && !atomic_load(&f->barred))
        lane_set_stream(t, (unsigned)fd, f);
    return r;
}

int lane_tokens(struct task *t, const struct sysargs *a, int fd, struct file *f)
{
    struct fdtable *ft = t->fdt;
    LOCKED(&ft->lock);
    if (fd < 0 || (unsigned)fd >= ft->size || ft->slots[fd].file != f)
        return -EBADF;
    struct slot *s = &ft->slots[fd];
    if (s->lane != LANE_HERE && s->uses < LANE_USES) {
        s->uses++;
        return -EAGAIN;
    }
    if (!t->process->mm->mailbox)
        return -ENODEV;
    int r = donate(t, ft, a, fd, f);
    if (r == 0)
        atomic_store(&ft->tokens, true);
    return r;
}

bool lane_is(struct task *t, int fd)
{
    struct fdtable *ft = t->fdt;
    LOCKED(&ft->lock);
    return fd >= 0 && (unsigned)fd < ft->size && ft->slots[fd].file && ft->slots[fd].lane == LANE_HERE;
}

bool lane_is_free(struct task *t, int fd)
{
    struct fdtable *ft = t->fdt;
    LOCKED(&ft->lock);
    bool unused = (unsigned)fd >= ft->size || (!ft->slots[fd].file && ft->slots[fd].lane == LANE_NONE);
    return unused && !fast_lane_is_set(t, (unsigned)fd);
}
