/* Files that a process opens, closes and opens again all the time: a web server's pages, say.
 *
 * Once the same open(2) has given the same number a few times, the gate of a process with one thread may
 * leave the descriptor where it is when it is closed (dormant), and have it again when the same call opens
 * it, by a seek to the file's beginning. stat(2) of the path is then fstat(2) of it. The keep hears of it
 * with the process's next call, as of closes that are told later (later.c), and takes the file out of the
 * table, or puts it there again, before it serves that. Nobody can tell the difference, since
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
 *   anything kept. For all others it is closed, or an open file like any other, before they are served;
 * - who looks at what is open where, at the space that a file takes, or unmounts something, first has all
 *   dormant descriptors closed (kept_settle): by their process if it is in the keep, or else by its gate,
 * which is kicked;
 * - nothing is kept while a guest watches files (IN_OPEN). A call that waits in the keep closes what is
 * dormant first. What is not used for LATER_NS is closed with the next call, or after some more of them by a
 * kick.
 *
 * What a guest writes into its page opens and closes a file of its own that it has open anyhow. */
#include "sandbox/keep/kept_internal.h"

#include <sys/syscall.h>

#include "sandbox/keep/counters.h"
#include "sandbox/keep/fast.h"
#include "sandbox/keep/fdtable.h"
#include "sandbox/keep/later.h"
#include "sandbox/keep/mailbox.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task_internal.h"

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

/* later_lock held, as for all that follows here. The gate has closed it; native: the host's process still has
 * it. False: it can not have. */
static bool lull(struct mm *mm, struct mailbox *b, struct fdtable *ft, bool native)
{
    struct kept *k = kept_of(b);
    unsigned fd = (unsigned)k->fd;

    if (!fdtable_lull(ft, fd, k->file))
        return false;
    if (!native)
        fdtable_forget(ft, NULL, fd);
    k->open = false;
    fast_lane_kept(mm, fd, false);
    later_forbid_closed(b, fd);
    return true;
}

static bool rouse(struct mm *mm, struct kept *k, struct fdtable *ft)
{
    if (!fdtable_rouse(ft, (unsigned)k->fd, k->file, k->cloexec))
        return false;
    k->open = true;
    fast_lane_kept(mm, (unsigned)k->fd, true);
    return true;
}

/* The table as the gate says it is. */
void kept_sync(struct mm *mm, struct mailbox *b, struct fdtable *ft)
{
    struct kept *k = kept_of(b);
    struct gate_kept *g = &b->later->kept;
    uint32_t state = kept_load(&g->state);
    bool open = state == KEPT_OPEN;

    count_one(&k->counted[0], &g->opened, SYS_openat);
    count_one(&k->counted[1], &g->closed, SYS_close);
    count_one(&k->counted[2], &g->asked, SYS_newfstatat);
    if (k->gone)
        return;
    if (!open && state != KEPT_DORMANT) { /* dropped; or closed, to be told, and that was heard */
        k->gone = true;
        if (k->open)
            (void)lull(mm, b, ft, false);
    } else if (open != k->open) {
        k->gone = open ? !rouse(mm, k, ft) : !lull(mm, b, ft, true);
    }
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

/* The same; what is dormant is closed by t's call a. */
struct file *kept_end(struct task *t, const struct sysargs *a, struct mailbox *b)
{
    struct kept *k = kept_of(b);
    bool leaves = a->nr == SYS_exit_group || a->nr == SYS_exit;

    if (!k->open)
        fdtable_forget(t->fdt, k->gone || leaves ? NULL : a, (unsigned)k->fd);
    return kept_forget(b);
}

/* The lowest free number of t's, for its gate. */
void kept_publish(struct task *t, struct mailbox *b)
{
    struct gate_kept *g = &b->later->kept;

    kept_store(&g->lowest, fdtable_lowest(t->fdt));
    kept_store(&g->exact, 1);
}

/* Calls ----------------------------------------------------------------------------------------------------
 */

/* What is dormant is in the way of a new file, and only a doorbell can put that in its place. */
static bool would_take(const struct task *t, const struct sysargs *a, const struct kept *k)
{
    return (a->nr == SYS_open || a->nr == SYS_openat) && fdtable_lowest(t->fdt) == (unsigned)k->fd;
}

bool kept_hear(struct task *t, const struct sysargs *a)
{
    struct mailbox *b = kept_box(t);
    struct kept *k = kept_of(b);
    struct file *f = NULL;

    now = NULL;
    if (!k || !atomic_load(&k->file))
        return true;
    {
        LOCKED(&b->later_lock);
        if (!k->file)
            return true;
        kept_sync(t->process->mm, b, t->fdt);
        bool ends = k->gone || !k->granted || kept_load(&b->later->kept.asking) || !is_harmless(a->nr);
        if (!a->listener && !k->open && !k->gone && (ends || would_take(t, a, k)))
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
    return fdtable_is(t->fdt, (unsigned)k->fd, k->open ? k->file : NULL);
}

void kept_after(struct task *t, const struct sysargs *a)
{
    struct mailbox *b = kept_box(t);
    struct kept *k = kept_of(b);
    struct file *f = NULL;

    now = NULL;
    if (!k || (!k->stale && !atomic_load(&k->file)))
        return;
    {
        LOCKED(&b->later_lock);
        if (k->stale)
            fdtable_forget(t->fdt, a, (unsigned)k->fd);
        k->stale = false;
        if (k->file && !is_in_place(t, k)) {
            fdtable_forget(t->fdt, a, (unsigned)k->fd);
            f = kept_forget(b);
        } else if (k->file && !k->granted && a->listener) {
            f = kept_end(t, a, b);
        } else if (k->file) {
            kept_publish(t, b);
        }
    }
    kept_put(f);
}

void kept_parked(void)
{
    now = NULL;
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
        if (k->file && fd == k->fd) {
            f = kept_forget(b);
            k->stale = true; /* unless the new file comes to lie there */
        } else if (k->file) {
            kept_publish(t, b);
        }
    }
    kept_put(f);
}
