/* Calls that the keep hears of later: closes, O_NONBLOCK of a fresh socket, and how a connect went.
 *
 * A doorbell only to say that a file is closed costs more than all that the host does for it. So a gate may
 * close a lane natively, note its number, and go on. Until the keep hears of it, its table still has the
 * file, open: as if the close were still to come. Nobody can tell the difference, since
 *
 * - the process itself hears of its descriptors from the keep, which looks at the notes before each of its
 *   calls (later_hear), or from the host, which has closed it: so the lowest free number, EBADF, EMFILE,
 * forks and execs are right. It has one thread, a table and memory of its own; before that changes (clone
 * with CLONE_VM, vfork) the right is gone;
 * - calls by which others look at its table (/proc/PID/fd, pidfd_getfd), or at what an open file does to its
 * file system (unlink and rename, whose space is given back, statfs, umount), take the right from all, and
 * look at all notes, first (later_settle);
 * - what a close does besides: record locks of the process end, so a table that has ever had one has no such
 *   right; flock and open file description locks end with the last descriptor, so a file that has ever had
 * one has none; IN_CLOSE events: none has it while there is an inotify in the sandbox. What is open for
 *   writing is not executed (ETXTBSY): that has the right only if nobody has been allowed to execute the file
 *   since before it was opened, and an execve that finds a writer settles and looks again;
 * - outside of the sandbox it shows for as long as a right lasts, LATER_NS, and no longer: then it is taken
 * away and the notes are read, whatever the process does.
 *
 * A connection that was left to the guest (lanes_left.c) is closed so whatever the mode of its file is: the
 * host ends it then, as nobody else has it. Its process may also ask natively how its connect(2) goes on:
 * that there is a connection by now is all that a second connect gives, and what the keep says to a third
 * (EISCONN).
 *
 * A TCP socket is fresh from socket(2) to its process's next call that the keep hears of: connect, listen,
 * dup, fork, whatever it is. So far nobody else can know it, nothing can wait on it, and the host's socket is
 * O_NONBLOCK all the time. So fcntl(2) tells and changes the flag in the page, and the keep takes it over
 * before that next call, or when it settles.
 *
 * What a guest writes into its page can only close descriptors of its own table, as close(2) could, or
 * set the flag of its own socket. */
#include "sandbox/keep/lanes/later.h"

#include "sandbox/keep/counters.h"
#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/lanes/kept.h"
#include "sandbox/keep/lanes/mailbox.h"
#include "sandbox/keep/net/sock.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/time/timer.h"

#include <sys/syscall.h>

#define LATER_NS (NSEC_PER_SEC / 2)
#define REFUSALS 512 /* what is beyond are not errors of the host's calls, but the keep's to itself */
#define LOOKS 2000   /* at a gate that is just closing something */

static struct mailbox *box_of(const struct task *t)
{
    const struct mm *mm = t->process->mm;

    return mm ? mm->mailbox : NULL;
}

/* Rights ---------------------------------------------------------------------------------------------------
 */

static bool is_fit(const struct file *f)
{
    unsigned flags = atomic_load(&f->flags) & (O_ACCMODE | O_PATH);

    return (flags == O_RDONLY || (!(flags & O_PATH) && f->not_exec == atomic_load(&kernel.exec_given) + 1)) &&
           !atomic_load(&f->locked) && atomic_load(&kernel.inotifies) == 0;
}

static void note_allowed(struct mailbox *b)
{
    if (atomic_exchange(&b->allowed, true))
        return;
    atomic_fetch_add(&kernel.laters, 1);
    atomic_store(&kernel.later_wanted, true);
}

void later_allow(struct task *t, unsigned fd, const struct file *f)
{
    struct mailbox *b = box_of(t);

    if (!b || fd >= GATE_LANE_FDS || !is_fit(f) || fdtable_has_locks(t->fdt) || !mailbox_may_be_used(t))
        return;
    __atomic_fetch_or(&b->later->may[fd / 64], UINT64_C(1) << (fd % 64), __ATOMIC_SEQ_CST);
    note_allowed(b);
    if (!is_fit(f)) /* somebody settled meanwhile */
        later_forbid(t, fd);
}

bool later_may_leave(struct task *t, unsigned fd)
{
    return box_of(t) && fd < GATE_LANE_FDS && !fdtable_has_locks(t->fdt) && mailbox_may_be_used(t);
}

void later_leave(struct mailbox *b, unsigned fd)
{
    __atomic_fetch_or(&b->later->may[fd / 64], UINT64_C(1) << (fd % 64), __ATOMIC_SEQ_CST);
    note_allowed(b);
}

void later_joins(struct mailbox *b, unsigned fd)
{
    __atomic_fetch_or(&b->later->joins[fd / 64], UINT64_C(1) << (fd % 64), __ATOMIC_SEQ_CST);
}

bool later_joined(const struct mailbox *b, unsigned fd)
{
    return b && fd < GATE_LANE_FDS &&
           !(__atomic_load_n(&b->later->joins[fd / 64], __ATOMIC_SEQ_CST) >> (fd % 64) & 1);
}

/* The guest says so itself: it is an error of its own socket's, or it lies to itself. */
int later_refusal(struct task *t, unsigned fd)
{
    struct mailbox *b = box_of(t);

    if (!b || __atomic_exchange_n(&b->later->refuses, 0, __ATOMIC_RELAXED) != fd + 1)
        return 0;
    int said = __atomic_load_n(&b->later->refused, __ATOMIC_RELAXED);
    return said < 0 && said > -REFUSALS ? said : 0;
}

static void forbid(struct mailbox *b, unsigned fd)
{
    __atomic_fetch_and(&b->later->may[fd / 64], ~(UINT64_C(1) << (fd % 64)), __ATOMIC_SEQ_CST);
    __atomic_fetch_and(&b->later->joins[fd / 64], ~(UINT64_C(1) << (fd % 64)), __ATOMIC_RELAXED);
}

void later_forbid_in(struct mailbox *b, unsigned fd)
{
    if (b && fd < GATE_LANE_FDS)
        forbid(b, fd);
}

void later_forbid(struct task *t, unsigned fd)
{
    struct mailbox *b = box_of(t);

    if (!b || fd >= GATE_LANE_FDS)
        return;
    forbid(b, fd);
    __atomic_fetch_and(&b->later->sends[fd / 64], ~(UINT64_C(1) << (fd % 64)), __ATOMIC_RELAXED);
    if (__atomic_load_n(&b->later->signalfd, __ATOMIC_RELAXED) == fd + 1)
        __atomic_store_n(&b->later->signalfd, 0, __ATOMIC_SEQ_CST);
}

void later_sends(struct task *t, unsigned fd, const struct file *f)
{
    struct mailbox *b = box_of(t);

    if (b && fd < GATE_LANE_FDS && sock_is_stream(f))
        __atomic_fetch_or(&b->later->sends[fd / 64], UINT64_C(1) << (fd % 64), __ATOMIC_RELAXED);
}

void later_changes(struct task *t)
{
    struct mailbox *b = box_of(t);

    if (b)
        __atomic_fetch_add(&b->later->changes, 1, __ATOMIC_SEQ_CST);
}

static void forbid_all(struct mailbox *b)
{
    for (unsigned i = 0; i < GATE_LANE_FDS / 64; i++)
        __atomic_store_n(&b->later->may[i], 0, __ATOMIC_SEQ_CST);
}

void later_forbid_all(struct task *t)
{
    struct mailbox *b = box_of(t);

    if (b)
        __atomic_store_n(&b->later->signalfd, 0, __ATOMIC_SEQ_CST);
    if (b && atomic_load(&b->allowed))
        forbid_all(b);
}

/* Fresh sockets --------------------------------------------------------------------------------------------
 */

bool later_may_be_fresh(struct task *t, struct file *f)
{
    if (!sock_is_fresh(f))
        return false;
    if (box_of(t) && fast_is_alone(t) && !fdtable_shared(t->fdt) && fast_is_possible(t) &&
        mailbox_may_be_used(t))
        return true;
    sock_settle(f, file_nonblock(f));
    return false;
}

void later_fresh(struct task *t, unsigned fd, struct file *f)
{
    struct mailbox *b = box_of(t);

    __atomic_store_n(&b->later->nonblock, file_nonblock(f), __ATOMIC_RELAXED);
    atomic_store(&b->fresh, fd + 1);
    __atomic_store_n(&b->later->fresh, fd + 1, __ATOMIC_SEQ_CST);
    note_allowed(b);
}

/* b's fresh socket is one like others from now on. It has stayed where it was in ft: else there has been a
 * call. b->fresh is 0 when all is done. */
static void hear_fresh(struct mailbox *b, struct fdtable *ft)
{
    LOCKED(&b->later_lock);
    unsigned fresh = atomic_load(&b->fresh);
    if (!fresh)
        return;
    __atomic_store_n(&b->later->fresh, 0, __ATOMIC_SEQ_CST);
    bool nonblock = __atomic_load_n(&b->later->nonblock, __ATOMIC_SEQ_CST) != 0;
    _cleanup_file_ struct file *f = fdtable_get_file(ft, (int)fresh - 1);
    if (f)
        sock_settle(f, nonblock);
    atomic_store(&b->fresh, 0);
}

/* Notes ----------------------------------------------------------------------------------------------------
 */

/* More than there is room for has no honest gate noted. */
unsigned later_take(struct mailbox *b, struct fdtable *ft, struct file **files)
{
    struct gate_later *l = b->later;
    unsigned n = 0;

    LOCKED(&b->later_lock);
    uint32_t told = __atomic_load_n(&l->told, __ATOMIC_ACQUIRE), heard = atomic_load(&b->heard);
    for (; told - heard <= LATER_MOST && heard != told; heard++) {
        uint32_t fd = (uint32_t)__atomic_load_n(&l->fd[heard % LATER_MOST], __ATOMIC_RELAXED);
        if (fd >= GATE_LANE_FDS)
            continue;
        forbid(b, fd);
        struct file *f = fdtable_closed(ft, fd);
        if (f)
            files[n++] = f;
    }
    atomic_store(&b->heard, told);
    __atomic_store_n(&l->heard, told, __ATOMIC_RELEASE);
    return n;
}

void later_put(struct file **files, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        counters_posted(SYS_close, 1);
        file_put(files[i]);
    }
}

void later_hear(struct task *t)
{
    struct mailbox *b = box_of(t);
    struct file *files[LATER_MOST];

    if (b && atomic_load(&b->fresh))
        hear_fresh(b, t->fdt);
    if (b && __atomic_load_n(&b->later->told, __ATOMIC_ACQUIRE) != atomic_load(&b->heard))
        later_put(files, later_take(b, t->fdt, files));
}

/* Settling -------------------------------------------------------------------------------------------------
 */

/* [T] There are rights, and it was not visited in this round. */
static bool is_wanted(struct mailbox *b, uint64_t round)
{
    if (!atomic_load(&b->allowed) || b->later_round == round)
        return false;
    b->later_round = round;
    return true;
}

/* [T] The gate may be in the middle of a close. False: it does not come to its end, having lost the CPU. One
 * that only says so is not waited for again and again. */
static bool await_close(struct mailbox *b)
{
    for (unsigned i = 0; i < LOOKS; i++) {
        if (!__atomic_load_n(&b->later->closing, __ATOMIC_SEQ_CST))
            return true;
        if (i == 0 && mono_now() - b->looked < LATER_NS)
            return false;
        __builtin_ia32_pause();
    }
    b->looked = mono_now();
    return false;
}

/* [T] */
static unsigned settle(struct mailbox *b, struct fdtable *ft, struct file *files[LATER_MOST])
{
    mailbox_later_over(b); /* first: who is allowed something meanwhile says so again */
    forbid_all(b);
    hear_fresh(b, ft);
    if (!await_close(b))
        note_allowed(b); /* it is looked at again */
    return later_take(b, ft, files);
}

static void settle_closes(void)
{
    uint64_t round = atomic_fetch_add(&kernel.later_rounds, 1) + 1;
    bool more = true;

    while (more && atomic_load(&kernel.laters)) {
        struct file *files[LATER_MOST];
        unsigned n = 0;
        {
            LOCKED(&kernel.tasklist_lock);
            struct task *t = mailbox_find(is_wanted, round);
            more = t != NULL;
            if (t)
                n = settle(box_of(t), t->fdt, files);
        }
        later_put(files, n);
    }
}

void later_settle(void)
{
    kept_settle();
    settle_closes();
    later_arm();
}

void later_executable(void)
{
    atomic_fetch_add(&kernel.exec_given, 1);
    later_settle();
}

/* Time -----------------------------------------------------------------------------------------------------
 */

static void time_over(struct ktimer *kt)
{
    (void)kt;
    atomic_store(&kernel.later_due, true);
}

void later_arm(void)
{
    if (!atomic_load_explicit(&kernel.later_wanted, memory_order_relaxed) ||
        !atomic_exchange(&kernel.later_wanted, false))
        return;
    LOCKED(&kernel.tasklist_lock);
    if (!kernel.later_timer && (kernel.later_timer = calloc(1, sizeof(*kernel.later_timer))))
        kernel.later_timer->fire = time_over;
    if (kernel.later_timer && !kernel.later_timer->queued)
        ktimer_set(kernel.later_timer, mono_now() + LATER_NS);
}

void later_tidy(void)
{
    if (!atomic_exchange(&kernel.later_due, false))
        return;
    settle_closes();
    if (kept_tidy())
        atomic_store(&kernel.later_wanted, true);
    later_arm();
}
