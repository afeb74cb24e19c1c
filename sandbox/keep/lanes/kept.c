/* Files that a process opens, closes and opens again all the time: a web server's pages, say.
 *
 * Once the same open(2) has been made a few times, the gate of a process with one thread has the descriptor
 * at a number of its own (GATE_HOME_FD), and gives the lowest free number for it when the same call opens it,
 * after a seek to the file's beginning. What it is asked for at that number (reads, fstat, lseek, sendfile)
 * it makes at its own; close(2) leaves it there, dormant. Nothing is native at the guest's number, so that
 * connections may come and go by it. stat(2) of the path is fstat(2) of the file. The keep hears of all
 * that with the process's next call, as of closes that are told later (later.c), and takes the file out of
 * the table, or puts it there, before it serves that. Nobody can tell the difference, since
 *
 * - the path leads to the same file, and the process may open it: every directory on the way, symbolic links'
 *   too, and the file are watched by an inotify of the keep's, on file systems where that hears of
 * everything, and so is the mount table. The host queues an event before the call that makes it is over, and
 * the gate asks for one (an epoll that it is lent: that there is something, not what) each time. Mounts of
 * the keep's own end it; ids, root directory, limits, filters, tracing: see below;
 * - the number is the lowest that is free: the keep says so with each answer, and the gate knows what it has
 *   closed itself since;
 * - the description is like a new one: nobody else has ever had it, or could: dup, fork, and whatever else
 *   could share or change it are calls by the doorbell, and of those only such as can not (harmless) leave
 *   anything kept. For all others it is native no more, and closed, or an open file like any other, before
 *   they are served;
 * - who looks at what is open where, at the space that a file takes, or unmounts something, first has all
 *   dormant descriptors closed (kept_settle): by their process if it is in the keep, or else by its gate,
 * which is kicked;
 * - nothing is kept while a guest watches files (IN_OPEN). A call that waits in the keep closes what is
 * dormant first. What is not used for LATER_NS is closed with the next call, or after some more of them by a
 * kick.
 *
 * What a guest writes into its page opens and closes a file of its own that it has open anyhow. */
#include "sandbox/keep/lanes/kept_internal.h"

#include <sys/syscall.h>

#include "sandbox/keep/counters.h"
#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/lanes/mailbox.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"

#define USES_PAY 32U /* of a grant, for the next one to come as soon */
#define COUNT_MOST 1000000U

/* The call that this worker serves, for kept_waits. */
static _Thread_local const struct sysargs *now;

struct mailbox *kept_box(const struct task *t)
{
    const struct mm *mm = t->process->mm;

    return mm ? mm->mailbox : NULL;
}

/* Calls that neither share a description or change one, nor whom a path is opened for. GATE_SIGNAL and its
 * like are the gate's way to a handler, which makes calls of its own. */
static bool is_harmless(int nr)
{
    static const short calls[] = {
        SYS_read,         SYS_write,         SYS_readv,     SYS_writev,       SYS_pread64,
        SYS_pwrite64,     SYS_sendfile,      SYS_sendto,    SYS_recvfrom,     SYS_poll,
        SYS_ppoll,        SYS_epoll_wait,    SYS_epoll_ctl, SYS_epoll_pwait,  SYS_accept,
        SYS_accept4,      SYS_socket,        SYS_connect,   SYS_shutdown,     SYS_setsockopt,
        SYS_getsockopt,   SYS_getsockname,   SYS_stat,      SYS_getpeername,  SYS_lstat,
        SYS_newfstatat,   SYS_fstat,         SYS_statx,     SYS_access,       SYS_faccessat,
        SYS_faccessat2,   SYS_open,          SYS_openat,    SYS_close,        SYS_lseek,
        SYS_getpid,       SYS_gettid,        SYS_getppid,   SYS_getuid,       SYS_geteuid,
        SYS_getgid,       SYS_getegid,       SYS_uname,     SYS_rt_sigaction, SYS_rt_sigprocmask,
        SYS_gettimeofday, SYS_clock_gettime, GATE_SIGNAL,   GATE_SETTLE,      GATE_SIGRETURN,
    };

    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        if (calls[i] == nr)
            return true;
    return false;
}

/* State ----------------------------------------------------------------------------------------------------
 */

static void count_one(uint32_t *had, const uint32_t *is, int nr)
{
    uint32_t n = kept_load(is), more = n - *had;

    *had = n;
    counters_posted(nr, more < COUNT_MOST ? more : 0);
}

/* later_lock held, as for all that follows here. */
static void lull(struct kept *k, struct fdtable *ft)
{
    k->open = false;
    (void)fdtable_lull(ft, (unsigned)k->fd, k->file);
}

/* fd is no lane, nor was it one. Its gate makes nothing of the bits meanwhile. */
void kept_clear_bits(struct task *t, struct gate_kept *g, unsigned fd)
{
    kept_store(&g->any, 0);
    kept_store(&g->plain, 0);
    fast_lane_clear(t, fd);
}

/* False: that number can not stand for the file. */
static bool rouse(struct task *t, struct mailbox *b, uint32_t fd)
{
    struct kept *k = kept_of(b);

    if (fd >= GATE_HOME_FD || !fdtable_rouse(t->fdt, fd, k->file, k->cloexec))
        return false;
    k->open = true;
    k->fd = (int)fd;
    kept_clear_bits(t, &b->later->kept, fd);
    return true;
}

/* The table as the gate says it is. */
void kept_sync(struct task *t, struct mailbox *b)
{
    struct kept *k = kept_of(b);
    struct gate_kept *g = &b->later->kept;
    uint32_t state = kept_load(&g->state), fd = kept_load(&g->fd);
    bool open = state == KEPT_OPEN;

    count_one(&k->counted[0], &g->opened, SYS_openat);
    count_one(&k->counted[1], &g->closed, SYS_close);
    count_one(&k->counted[2], &g->asked, SYS_newfstatat);
    if (k->gone)
        return;
    if (k->open && (!open || fd != (uint32_t)k->fd))
        lull(k, t->fdt);
    if (open && !k->open && !rouse(t, b, fd)) {
        atomic_store(&k->granted, false);
        kept_store(&g->granted, 0);
    }
    k->gone = !open && state != KEPT_DORMANT;
}

void kept_want_more(struct kept *k)
{
    k->row = 0;
    if (k->wanted < ROW_MAX)
        k->wanted *= 2;
}

/* Nothing is kept. Returns the file, the caller's to put. */
struct file *kept_forget(struct mailbox *b)
{
    struct kept *k = kept_of(b);
    struct gate_kept *g = &b->later->kept;
    struct file *f = atomic_exchange(&k->file, NULL);

    atomic_store(&k->granted, false);
    kept_store(&g->granted, 0);
    kept_store(&g->state, KEPT_NONE);
    k->open = false;
    if (kept_uses(g) - k->begun >= USES_PAY)
        k->wanted = ROW_MIN;
    else
        kept_want_more(k);
    if (kept_uses(g) == k->begun && kept_load(&g->asking))
        k->lent = false; /* perhaps it has closed that */
    kept_store(&g->asking, 0);
    atomic_fetch_sub(&kernel.kepts, 1);
    return f;
}

/* The same; what is native of it is taken away by t's call a. */
struct file *kept_end(struct task *t, const struct sysargs *a, struct mailbox *b)
{
    struct kept *k = kept_of(b);
    bool leaves = a->nr == SYS_exit_group || a->nr == SYS_exit;

    if (!k->gone && !leaves)
        fd_unlend(t, a, GATE_HOME_FD);
    return kept_forget(b);
}

/* What has been left is native no more. */
void kept_take_left(struct task *t, const struct sysargs *a, struct kept *k)
{
    if (atomic_exchange(&k->left, false))
        fd_unlend(t, a, GATE_HOME_FD);
}

/* The lowest free number of t's, for its gate. */
void kept_publish(struct task *t, struct mailbox *b)
{
    struct gate_kept *g = &b->later->kept;

    kept_store(&g->limit, fd_limit(t));
    kept_store(&g->lowest, fdtable_lowest(t->fdt));
    kept_store(&g->exact, 1);
}

/* Calls ----------------------------------------------------------------------------------------------------
 */

/* What only a doorbell can be answered with. */
static bool closes(const struct sysargs *a, const struct kept *k)
{
    return a->nr == SYS_close && k->open && (uint32_t)a->arg[0] == (uint32_t)k->fd;
}

bool kept_hear(struct task *t, const struct sysargs *a)
{
    struct mailbox *b = kept_box(t);
    struct kept *k = kept_of(b);
    struct file *f = NULL;

    now = NULL;
    if (!k || (!atomic_load(&k->file) && !atomic_load(&k->left)))
        return true;
    {
        LOCKED(&b->later_lock);
        if (atomic_load(&k->left) && !a->listener)
            return false;
        kept_take_left(t, a, k);
        if (!k->file)
            return true;
        kept_sync(t, b);
        bool ends = k->gone || !k->granted || kept_load(&b->later->kept.asking) || !is_harmless(a->nr);
        if (!a->listener && !k->gone && (ends || closes(a, k)))
            return false;
        if (ends)
            f = kept_end(t, a, b);
        else
            now = a;
    }
    kept_put(f);
    return true;
}

/* later_lock held. Whether it is still what it was before the call. */
static bool is_in_place(const struct task *t, const struct kept *k)
{
    return (!k->open || fdtable_is(t->fdt, (unsigned)k->fd, k->file)) &&
           fdtable_is(t->fdt, GATE_HOME_FD, NULL);
}

void kept_after(struct task *t, const struct sysargs *a)
{
    struct mailbox *b = kept_box(t);
    struct kept *k = kept_of(b);
    struct file *f = NULL;

    now = NULL;
    if (!k || (!atomic_load(&k->file) && !atomic_load(&k->left)))
        return;
    {
        LOCKED(&b->later_lock);
        bool ends = k->file && (!k->granted || !is_in_place(t, k));
        if (ends && a->listener)
            f = kept_end(t, a, b);
        else if (k->file && !ends)
            kept_publish(t, b);
        if (a->listener)
            kept_take_left(t, a, k);
    }
    kept_put(f);
}

void kept_parked(void)
{
    now = NULL;
}

bool kept_serves(struct task *t, int fd)
{
    struct mailbox *b = kept_box(t);
    struct kept *k = kept_of(b);

    if (!k || !atomic_load(&k->file))
        return false;
    LOCKED(&b->later_lock);
    return k->file && k->granted && k->open && k->fd == fd;
}

void kept_waits(struct task *t)
{
    struct mailbox *b = now && now->listener && task_is_current(t) ? kept_box(t) : NULL;
    struct kept *k = kept_of(b);
    struct file *f = NULL;

    if (!k || !atomic_load(&k->file))
        return;
    {
        LOCKED(&b->later_lock);
        if (k->file && !k->open)
            f = kept_end(t, now, b);
    }
    kept_put(f);
}

void kept_installed(struct task *t, int fd)
{
    struct mailbox *b = kept_box(t);
    struct kept *k = kept_of(b);
    struct file *f = NULL;

    if (!k || !atomic_load(&k->file))
        return;
    {
        LOCKED(&b->later_lock);
        if (k->file && (fd == GATE_HOME_FD || fd == GATE_KEPT_FD)) {
            k->off = true;
            atomic_store(&k->left, fd == GATE_HOME_FD); /* unless the new file comes to lie there */
            f = kept_forget(b);
        } else if (k->file) {
            kept_publish(t, b);
        }
    }
    kept_put(f);
}
