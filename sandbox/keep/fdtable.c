/* Descriptor tables.
 *
 * Beside its file, a slot knows what the guest's native descriptor table holds at the same number: nothing
 * that matters (LANE_NONE), the file's own host descriptor (LANE_HERE), or perhaps something old
 * (LANE_STALE), or what one of several threads is about to close (LANE_CLOSING), so that nothing new may lie
 * there before. A number is only ever used natively after lane_donate found LANE_HERE, or made it so, under
 * the table's lock. */
#include "sandbox/keep/fdtable.h"

#include <limits.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "sandbox/keep/epoll.h"
#include "sandbox/keep/fast.h"
#include "sandbox/keep/procfs_priv.h"
#include "sandbox/keep/task.h"
#include "sandbox/platform/listener.h"

enum lane_state { LANE_NONE, LANE_HERE, LANE_STALE, LANE_CLOSING };

struct slot {
    struct file *file;
    bool cloexec;
    uint8_t lane; /* enum lane_state; meaningful in empty slots too */
    uint8_t uses; /* transfers that the keep made itself; see lane_ready */
};

struct fdtable {
    atomic_int refs;
    pthread_mutex_t lock;
    struct slot *slots;
    unsigned size;
    unsigned first_free; /* no free slot is below it */
};

#define FDTABLE_MIN 64U
#define FDTABLE_MAX (1U << 20)

struct fdtable *fdtable_new(void)
{
    struct fdtable *ft = calloc(1, sizeof(*ft));
    if (!ft)
        return NULL;
    ft->slots = calloc(FDTABLE_MIN, sizeof(*ft->slots));
    if (!ft->slots) {
        free(ft);
        return NULL;
    }
    ft->size = FDTABLE_MIN;
    atomic_init(&ft->refs, 1);
    pthread_mutex_init(&ft->lock, NULL);
    return ft;
}

struct fdtable *fdtable_get(struct fdtable *ft)
{
    atomic_fetch_add(&ft->refs, 1);
    return ft;
}

void fdtable_put(struct fdtable *ft)
{
    if (!ft || atomic_fetch_sub(&ft->refs, 1) != 1)
        return;
    for (unsigned i = 0; i < ft->size; i++)
        if (ft->slots[i].file)
            file_closed(ft, ft->slots[i].file);
    pthread_mutex_destroy(&ft->lock);
    free(ft->slots);
    free(ft);
}

static bool sole_owner(struct fdtable *ft)
{
    return atomic_load(&ft->refs) == 1;
}

bool fdtable_shared(struct fdtable *ft)
{
    return !sole_owner(ft);
}

unsigned fdtable_users(struct fdtable *ft)
{
    return (unsigned)atomic_load(&ft->refs);
}

struct fdtable *fdtable_dup(struct fdtable *ft)
{
    struct fdtable *n = fdtable_new();
    if (!n)
        return NULL;
    LOCKED(&ft->lock);
    if (ft->size > n->size) {
        struct slot *s = realloc(n->slots, ft->size * sizeof(*s));
        if (!s) {
            fdtable_put(n);
            return NULL;
        }
        n->slots = s;
        n->size = ft->size;
    }
    memcpy(n->slots, ft->slots, ft->size * sizeof(*ft->slots));
    /* With others at work on the table, the host's copy may be made of another state than this one. */
    bool sole = sole_owner(ft);
    for (unsigned i = 0; i < n->size; i++) {
        if (n->slots[i].file)
            file_get(n->slots[i].file);
        if (!sole && n->slots[i].lane != LANE_NONE)
            n->slots[i].lane = LANE_STALE;
    }
    n->first_free = ft->first_free;
    return n;
}

static void slot_clear(struct fdtable *ft, unsigned fd)
{
    ft->slots[fd].file = NULL;
    ft->slots[fd].cloexec = false;
    ft->slots[fd].uses = 0;
    if (fd < ft->first_free)
        ft->first_free = fd;
}

void fdtable_close_on_exec(struct fdtable *ft)
{
    for (unsigned fd = 0; fd < ft->size; fd++) {
        struct file *f = NULL;
        {
            LOCKED(&ft->lock);
            ft->slots[fd].lane = LANE_NONE;
            ft->slots[fd].uses = 0;
            if (ft->slots[fd].file && ft->slots[fd].cloexec) {
                f = ft->slots[fd].file;
                slot_clear(ft, fd);
            }
        }
        if (f)
            file_closed(ft, f);
    }
}

static struct file *get_any(struct fdtable *ft, int fd)
{
    LOCKED(&ft->lock);
    if (fd < 0 || (unsigned)fd >= ft->size || !ft->slots[fd].file)
        return NULL;
    return file_get(ft->slots[fd].file);
}

struct file *fd_get_path(struct task *t, int fd)
{
    return get_any(t->fdt, fd);
}

struct file *fdtable_get_file(struct fdtable *ft, int fd)
{
    return get_any(ft, fd);
}

struct file *fd_get(struct task *t, int fd)
{
    struct file *f = get_any(t->fdt, fd);
    if (f && (atomic_load_explicit(&f->flags, memory_order_relaxed) & O_PATH)) {
        file_put(f);
        return NULL;
    }
    return f;
}

unsigned fd_limit(struct task *t)
{
    rlim_t lim = t->process->rlim[RLIMIT_NOFILE].rlim_cur;
    return lim < FDTABLE_MAX ? (unsigned)lim : FDTABLE_MAX;
}

/* Makes room for number fd. Lock held. */
static int table_grow(struct fdtable *ft, unsigned fd)
{
    if (fd < ft->size)
        return 0;
    unsigned size = ft->size;
    while (size <= fd)
        size *= 2;
    struct slot *s = realloc(ft->slots, size * sizeof(*s));
    if (!s)
        return -ENOMEM;
    memset(s + ft->size, 0, (size - ft->size) * sizeof(*s));
    ft->slots = s;
    ft->size = size;
    return 0;
}

/* The lowest number from min on. Lock held. */
static unsigned find_free(const struct fdtable *ft, unsigned min)
{
    unsigned fd = min > ft->first_free ? min : ft->first_free;
    while (fd < ft->size && ft->slots[fd].file)
        fd++;
    return fd;
}

bool fd_has_room(struct task *t)
{
    LOCKED(&t->fdt->lock);
    return find_free(t->fdt, 0) < fd_limit(t);
}

int fd_install(struct task *t, struct file *f, bool cloexec, int min)
{
    struct fdtable *ft = t->fdt;
    unsigned limit = fd_limit(t);
    LOCKED(&ft->lock);
    unsigned fd = find_free(ft, (unsigned)min);
    if (fd >= limit)
        return -EMFILE;
    if (table_grow(ft, fd) < 0)
        return -ENOMEM;
    if ((unsigned)min <= ft->first_free)
        ft->first_free = fd + 1;
    ft->slots[fd].file = f;
    ft->slots[fd].cloexec = cloexec;
    ft->slots[fd].uses = 0;
    if (ft->slots[fd].lane == LANE_HERE)
        ft->slots[fd].lane = LANE_STALE;
    return (int)fd;
}

int fd_return(struct task *t, struct file *f, bool cloexec)
{
    int fd = fd_install(t, f, cloexec, 0);
    if (fd < 0)
        file_put(f);
    return fd;
}

/* Takes what may lie natively at fd out of the guest. Lock held. */
static void lane_revoke(struct fdtable *ft, const struct sysargs *a, unsigned fd)
{
    if (ft->slots[fd].lane == LANE_NONE || ft->slots[fd].lane == LANE_CLOSING)
        return;
    if (a && notif_addfd(a, kernel.dead_fd, (int)fd) >= 0)
        ft->slots[fd].lane = LANE_NONE;
    else
        ft->slots[fd].lane = LANE_STALE;
}

int fd_install_at(struct task *t, struct file *f, bool cloexec, int fd, const struct sysargs *a)
{
    struct fdtable *ft = t->fdt;
    struct file *old;
    if (fd < 0 || (unsigned)fd >= fd_limit(t))
        return -EBADF;
    {
        LOCKED(&ft->lock);
        if (table_grow(ft, (unsigned)fd) < 0)
            return -ENOMEM;
        fast_lane_clear(t, (unsigned)fd);
        lane_revoke(ft, a, (unsigned)fd);
        old = ft->slots[fd].file;
        ft->slots[fd].file = f;
        ft->slots[fd].cloexec = cloexec;
        ft->slots[fd].uses = 0;
    }
    if (old)
        file_closed(ft, old);
    return fd;
}

/* Empties slot fd. Lock held. Returns its file, NULL if there is none; *native is set where the host's own
 * close is to follow. With others at work on the table that could hit the number's next lane, hence
 * LANE_CLOSING then, or the dead file where it is one of many numbers. */
static struct file *slot_take(struct task *t, const struct sysargs *a, unsigned fd, bool alone, bool *native)
{
    struct fdtable *ft = t->fdt;
    struct slot *s = &ft->slots[fd];
    struct file *f = s->file;
    bool sole = sole_owner(ft);
    if (!f)
        return NULL;
    if (!sole)
        fast_lane_clear(t, fd);
    if (s->lane == LANE_HERE && (sole || alone)) {
        s->lane = sole ? LANE_NONE : LANE_CLOSING;
        *native = true;
    } else {
        fast_lane_clear(t, fd);
        lane_revoke(ft, a, fd);
    }
    slot_clear(ft, fd);
    return f;
}

int fd_close(struct task *t, const struct sysargs *a, int fd, bool *native)
{
    struct fdtable *ft = t->fdt;
    struct file *f = NULL;
    {
        LOCKED(&ft->lock);
        if (fd >= 0 && (unsigned)fd < ft->size && !a->listener && ft->slots[fd].lane == LANE_HERE &&
            !sole_owner(ft))
            return -ERESTARTNOINTR;
        if (fd >= 0 && (unsigned)fd < ft->size)
            f = slot_take(t, a, (unsigned)fd, true, native);
    }
    if (!f)
        return -EBADF;
    file_closed(ft, f);
    return 0;
}

bool fd_close_range(struct task *t, const struct sysargs *a, unsigned first, unsigned last, bool only_mark)
{
    struct fdtable *ft = t->fdt;
    bool native = false;
    for (unsigned fd = first; fd <= last && fd < ft->size; fd++) {
        struct file *f = NULL;
        {
            LOCKED(&ft->lock);
            if (!only_mark)
                f = slot_take(t, a, fd, false, &native);
            else if (ft->slots[fd].file)
                ft->slots[fd].cloexec = true;
        }
        if (f)
            file_closed(ft, f);
    }
    return native;
}

static bool slot_lent(const struct slot *s)
{
    return s->lane == LANE_STALE || s->lane == LANE_CLOSING ||
           (s->lane == LANE_HERE && s->file && s->file->kind & FILE_STREAM);
}

bool fdtable_lent(struct fdtable *ft)
{
    LOCKED(&ft->lock);
    for (unsigned fd = 0; fd < ft->size; fd++)
        if (slot_lent(&ft->slots[fd]))
            return true;
    return false;
}

void fdtable_withdraw(struct fdtable *ft, const struct sysargs *a)
{
    LOCKED(&ft->lock);
    for (unsigned fd = 0; fd < ft->size; fd++)
        if (slot_lent(&ft->slots[fd])) {
            ft->slots[fd].lane = LANE_STALE;
            lane_revoke(ft, a, fd);
        }
}

int fd_cloexec(struct task *t, int fd, int set)
{
    struct fdtable *ft = t->fdt;
    LOCKED(&ft->lock);
    if (fd < 0 || (unsigned)fd >= ft->size || !ft->slots[fd].file)
        return -EBADF;
    if (set >= 0)
        ft->slots[fd].cloexec = set;
    return ft->slots[fd].cloexec;
}

void fd_for_each(struct fdtable *ft, void (*fn)(int fd, struct file *f, bool cloexec, void *arg), void *arg)
{
    LOCKED(&ft->lock);
    for (unsigned i = 0; i < ft->size; i++)
        if (ft->slots[i].file)
            fn((int)i, ft->slots[i].file, ft->slots[i].cloexec, arg);
}

/* notif_addfd, with the guest's thread held on this CPU meanwhile: it has to run to take the descriptor while
 * we wait for it, and waking it on another, idle CPU costs more than all the rest. */
static int addfd_here(struct task *t, const struct sysargs *a, int hostfd, int at,
                      int (*add)(const struct sysargs *, int, int))
{
    cpu_set_t all, here;
    int cpu = sched_getcpu();
    CPU_ZERO(&here);
    if (cpu >= 0 && cpu < CPU_SETSIZE)
        CPU_SET(cpu, &here);
    bool moved = sched_getaffinity(t->host_tid, sizeof(all), &all) == 0 && CPU_COUNT(&all) > 1 &&
                 CPU_ISSET(cpu, &all) && sched_setaffinity(t->host_tid, sizeof(here), &here) == 0;
    int r = add(a, hostfd, at);
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
    if (!(f->kind & FILE_PLAIN))
        fast_lane_clear(t, (unsigned)fd); /* what was closed there may have been one */
    if (fd >= GATE_POLL_FD && fd < GATE_LANE_FDS)
        fast_polls_off(t);
    int r = addfd_here(t, a, f->lanefd >= 0 ? f->lanefd : f->hostfd, fd, notif_addfd);
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
    int r = addfd_here(t, a, hostfd, number, notif_addfd);
    return r < 0 ? r : 0;
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

bool lane_ready(struct task *t, const struct sysargs *a, int fd, struct file *f, size_t len)
{
    struct fdtable *ft = t->fdt;
    if (!(f->kind & FILE_LANE) || f->hostfd < 0 || kernel.lanes_off)
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
    fast_lane_set(t, (unsigned)fd, (f->kind & FILE_PLAIN) && sole_owner(ft));
    return true;
}

bool lane_plain(struct task *t, const struct sysargs *a, int fd, struct file *f)
{
    return (f->kind & FILE_PLAIN) && sole_owner(t->fdt) && lane_ready(t, a, fd, f, 0);
}

bool lane_pays_at_open(struct task *t, unsigned times)
{
    return !fdtable_shared(t->fdt) && fast_is_possible(t) && fast_opens_pay(t, times);
}

/* The guest goes on before the ioctl is over: all is to be said by then. */
long fd_return_lane(struct task *t, const struct sysargs *a, struct file *f, bool cloexec)
{
    struct fdtable *ft = t->fdt;
    bool plain = f->kind & FILE_PLAIN;
    int fd = fd_return(t, f, cloexec);
    if (fd < 0 || !plain || !fast_opened(t) || !lane_pays_at_open(t, 1))
        return fd;
    LOCKED(&ft->lock);
    struct slot *s = &ft->slots[fd];
    if (s->file != f)
        return fd;
    uint8_t before = s->lane;
    s->lane = LANE_HERE;
    fast_lane_set(t, (unsigned)fd, true);
    if (addfd_here(t, a, f->hostfd, fd, notif_answer_fd) >= 0)
        return SYS_NOANSWER;
    fast_lane_clear(t, (unsigned)fd);
    s->lane = before;
    return fd;
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
    int fd = fd_return(t, f, cloexec);
    if (fd < 0 || atomic_load(&t->process->mm->streams) < LANES_USUAL || !fast_is_possible(t))
        return fd;
    LOCKED(&ft->lock);
    struct slot *s = &ft->slots[fd];
    if (s->file != f || !(f->kind & FILE_STREAM) || atomic_load(&f->barred) ||
        is_closing(t, ft, (unsigned)fd, false) || become_lane(f) < 0)
        return fd;
    fast_lane_clear(t, (unsigned)fd); /* as in donate */
    s->lane = LANE_HERE;
    fast_lane_set(t, (unsigned)fd, false);
    if (notif_answer_fd(a, f->lanefd >= 0 ? f->lanefd : f->hostfd, fd) == 0)
        return SYS_NOANSWER;
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
    fast_lane_set(t, (unsigned)fd, false);
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
        fast_lane_set(t, (unsigned)fd, false);
    return r;
}

bool lane_is(struct task *t, int fd)
{
    struct fdtable *ft = t->fdt;
    LOCKED(&ft->lock);
    return fd >= 0 && (unsigned)fd < ft->size && ft->slots[fd].file && ft->slots[fd].lane == LANE_HERE;
}
