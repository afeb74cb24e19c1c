/* Signal masks: where they live, and why no signal is overlooked.
 *
 * A thread with a slot has its mask there (gate_slot.blocked): its gate answers rt_sigprocmask and returns
 * from handlers without asking. The keep reads it whenever something is pending and it matters. It is the
 * guest's to scribble on, and says only which signals that very process wants to put off.
 *
 * What is pending and blocked is marked in gate_slot.marks, which the keep writes and the gate reads. Always,
 * for each pending signal that is handled: either a thread has been kicked, whose gate will ask and so bring
 * it to signal_settle(), or it is marked for every thread that may take it, and was found blocked in each of
 * them after that.
 *
 *   the keep sends a signal          the gate unblocks it
 *   1. marks += it                   1. blocked -= it   (an exchange, and so a fence)
 *   2. reads blocked                 2. reads marks
 *
 * Each side writes before it reads, with a fence between, so at least one sees what the other has written:
 * the keep finds it unblocked and kicks, or the gate finds the mark and rings (GATE_SETTLE, GATE_SIGRETURN),
 * and the signal is delivered before the call returns. A system call to the host is a fence, and bits of a
 * byte are never torn apart. Marks are taken away only while the thread is in a call of its own, and one too
 * many costs a doorbell. Kicked for a signal that it has blocked meanwhile, a gate asks all the same, and the
 * signal is found blocked then, and marked.
 *
 * While a call gives the thread another mask (sigsuspend), and until its gate knows that of a handler, what
 * counts is the keep's copy: task.mask_held. While it executes a program, too: the slot goes with the old
 * image. tasklist_lock guards all of this. */
#include <stddef.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/signal/signal_internal.h"

static void slot_put(struct task *t, size_t field, uint64_t v)
{
    (void)put_user(t, v, uint64_t, t->slot + field);
}

bool task_mask_is_in_slot(const struct task *t)
{
    return t->mask_in_slot && !atomic_load(&t->mask_held);
}

sigset64 task_mask(struct task *t)
{
    sigset64 mask;

    if (task_mask_is_in_slot(t) && !t->mask_told &&
        get_user(t, &mask, t->slot + offsetof(struct gate_slot, blocked)) == 0)
        t->blocked = mask & ~SIGSET_UNBLOCKABLE;
    return t->blocked;
}

void task_mask_set(struct task *t, sigset64 mask)
{
    t->blocked = mask & ~SIGSET_UNBLOCKABLE;
    if (t->mask_in_slot)
        slot_put(t, offsetof(struct gate_slot, blocked), t->blocked);
}

/* Marks -----------------------------------------------------------------------------------------------------
 */

static void put_marks(struct task *t, sigset64 marks)
{
    if (t->marks == marks)
        return;
    t->marks = marks;
    if (t->mask_in_slot)
        slot_put(t, offsetof(struct gate_slot, marks), marks);
}

void signal_mark(struct task *t, sigset64 set)
{
    if (!(set & ~t->marks))
        return;
    put_marks(t, t->marks | set);
    atomic_thread_fence(memory_order_seq_cst);
    if (set & ~task_mask(t))
        (void)signal_wake(t);
}

void signal_mark_all(struct process *p, sigset64 set)
{
    struct task *t;

    p->marked |= set;
    DL_FOREACH2(p->threads, t, thread_next)
    {
        if (!t->exited)
            signal_mark(t, set);
    }
}

void signal_remark(struct task *t)
{
    put_marks(t, signal_pending_set(t) & task_mask(t));
}

/* A thread's slot comes and goes
 * ------------------------------------------------------------------------------
 */

void sigmask_attach(struct task *t, bool in_slot, struct gate_slot *s)
{
    t->mask_in_slot = in_slot;
    atomic_store(&t->mask_held, false);
    t->marks = signal_pending_set(t) & t->blocked;
    s->blocked = t->blocked;
    s->marks = t->marks;
}

void sigmask_told(struct task *t, sigset64 mask)
{
    LOCKED(&kernel.tasklist_lock);
    if (!task_mask_is_in_slot(t))
        return;
    t->blocked = mask & ~SIGSET_UNBLOCKABLE;
    t->mask_told = true;
}

void sigmask_told_over(struct task *t)
{
    LOCKED(&kernel.tasklist_lock);
    t->mask_told = false;
}

void sigmask_hold(struct process *p)
{
    struct task *t;

    LOCKED(&kernel.tasklist_lock);
    DL_FOREACH2(p->threads, t, thread_next)
    {
        (void)task_mask(t);
        atomic_store(&t->mask_held, true);
    }
}

void sigmask_release(struct process *p)
{
    struct task *t;

    LOCKED(&kernel.tasklist_lock);
    DL_FOREACH2(p->threads, t, thread_next)
    {
        atomic_store(&t->mask_held, t->restore_mask);
        if (!t->exited)
            signal_settle(t);
    }
}

void sigmask_again(struct task *t)
{
    if (t->mask_in_slot)
        slot_put(t, offsetof(struct gate_slot, marks), t->marks);
}

/* Changes
 * ----------------------------------------------------------------------------------------------------
 */

static void change(struct task *t, sigset64 old, sigset64 mask)
{
    sigset64 newly = mask & ~old & t->process->pending.set;

    if (newly && t->process->nthreads > 1)
        signal_reroute(t->process, newly);
    signal_remark(t);
    signal_settle(t);
}

void set_blocked(struct task *t, sigset64 mask)
{
    LOCKED(&kernel.tasklist_lock);
    sigset64 old = task_mask(t);
    task_mask_set(t, mask);
    change(t, old, t->blocked);
}

void set_temporary_mask(struct task *t, sigset64 mask)
{
    LOCKED(&kernel.tasklist_lock);
    sigset64 old = task_mask(t);
    if (!t->restore_mask)
        t->saved_mask = old;
    t->restore_mask = true;
    atomic_store(&t->mask_held, true);
    t->blocked = mask & ~SIGSET_UNBLOCKABLE;
    change(t, old, t->blocked);
}

void signal_mask_back(struct task *t)
{
    t->restore_mask = false;
    t->blocked = t->saved_mask;
    atomic_store(&t->mask_held, false);
}

void restore_temporary_mask(struct task *t)
{
    LOCKED(&kernel.tasklist_lock);
    if (!t->restore_mask)
        return;
    sigset64 old = t->blocked;
    signal_mask_back(t);
    change(t, old, t->blocked);
}
