/* Sending signals: what is ignored, what acts at once, which thread takes it, what is queued. Delivery is in
 * sigdeliver.c, the calls in sigcalls.c. A default action is carried out here, as soon as some thread would
 * take the signal: the guest's host process need not be asked. All of it under tasklist_lock. */
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/container/container.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/signal/signal_internal.h"
#include "sandbox/keep/task/quiet.h"
#include "sandbox/keep/task/unheard.h"
#include "sandbox/keep/time/timer.h"
#include "sandbox/keep/trace/trace.h"

static uint64_t handler_of(const struct process *p, int signo)
{
    return p->sighand->action[signo - 1].handler;
}

static bool is_default(const struct process *p, int signo)
{
    return handler_of(p, signo) == (uint64_t)(uintptr_t)SIG_DFL;
}

bool action_is_ignore(const struct process *p, int signo)
{
    if (is_default(p, signo))
        return SIGBIT(signo) & SIGSET_IGNORE;
    return handler_of(p, signo) == (uint64_t)(uintptr_t)SIG_IGN;
}

bool signal_blocked_or_ignored(struct task *t, int signo)
{
    return (task_mask(t) & SIGBIT(signo)) || action_is_ignore(t->process, signo);
}

/* A running init has no default actions: what it does not handle does not reach it, but for SIGKILL and
 * SIGSTOP from outside. */
static bool init_is_protected(const struct process *p, int signo, bool from_outside)
{
    return p->is_init && p->container->started && is_default(p, signo) &&
           !(from_outside && (SIGBIT(signo) & SIGSET_UNBLOCKABLE));
}

static bool is_ignored(const struct process *p, int signo, bool from_outside)
{
    return action_is_ignore(p, signo) || init_is_protected(p, signo, from_outside);
}

/* Queues
 * ------------------------------------------------------------------------------------------------------- */

static void sigqueue_free(struct process *p, struct sigqueue *q)
{
    if (q->timer) {
        posix_timer_delivered(q); /* the timer owns it */
        return;
    }
    p->nsigqueued--;
    free(q);
}

void sigpending_flush(struct process *p, struct sigpending *sp, sigset64 mask)
{
    if (sp == &p->pending && (p->offered & mask))
        signalfd_recall(p);
    if (!(sp->set & mask))
        return;
    sp->set &= ~mask;
    struct sigqueue *q, *tmp;
    DL_FOREACH_SAFE(sp->queue, q, tmp)
    {
        if (!(SIGBIT(q->info.si_signo) & mask))
            continue;
        DL_DELETE(sp->queue, q);
        sigqueue_free(p, q);
    }
}

/* 0; -EAGAIN when a real-time signal's information cannot be kept. */
static int enqueue(struct process *p, struct sigpending *sp, const siginfo_t *info, struct sigqueue *prepared)
{
    int signo = info->si_signo;
    if (signo < 32 && (sp->set & SIGBIT(signo)))
        return 0; /* standard signals do not queue */
    struct sigqueue *q = prepared;
    if (!q && p->nsigqueued < p->rlim[RLIMIT_SIGPENDING].rlim_cur)
        q = calloc(1, sizeof(*q));
    if (!q) {
        if (signo >= 32 && info->si_code != SI_USER)
            return -EAGAIN;
        sp->set |= SIGBIT(signo); /* it arrives, without its information */
        return 0;
    }
    if (!prepared)
        p->nsigqueued++;
    q->info = *info;
    DL_APPEND(sp->queue, q);
    sp->set |= SIGBIT(signo);
    return 0;
}

/* The lowest of mask, faults before all; its information into *info. */
static int dequeue_from(struct process *p, struct sigpending *sp, sigset64 mask, siginfo_t *info)
{
    sigset64 set = sp->set & mask;
    if (!set)
        return 0;
    if (set & SIGSET_SYNC)
        set &= SIGSET_SYNC;
    int signo = __builtin_ctzll(set) + 1;
    struct sigqueue *q, *found = NULL;
    bool more = false;
    DL_FOREACH(sp->queue, q)
    {
        if (q->info.si_signo != signo)
            continue;
        more = found != NULL;
        if (more)
            break;
        found = q;
    }
    if (!more)
        sp->set &= ~SIGBIT(signo);
    memset(info, 0, sizeof(*info));
    info->si_signo = signo;
    if (!found)
        return signo;
    if (found->timer)
        posix_timer_catch_up(found);
    *info = found->info;
    DL_DELETE(sp->queue, found);
    sigqueue_free(p, found);
    return signo;
}

int signal_dequeue(struct task *t, sigset64 mask, siginfo_t *info)
{
    if (t->process->offered & mask)
        signalfd_recall(t->process);
    int signo = dequeue_from(t->process, &t->pending, mask, info);
    if (!signo)
        signo = dequeue_from(t->process, &t->process->pending, mask, info);
    if (signo && signalfd_notify)
        signalfd_notify(t->process);
    return signo;
}

sigset64 signal_pending_set(const struct task *t)
{
    if (t->process->offered)
        signalfd_hear(t->process);
    return t->pending.set | t->process->pending.set;
}

sigset64 signal_deliverable(struct task *t)
{
    sigset64 set = signal_pending_set(t);
    return set ? set & ~task_mask(t) : 0;
}

bool signal_pending(struct task *t)
{
    const struct process *p = t->process;
    return task_is_stopped(t) || trace_is_due(t) || p->group_exit || (atomic_load(&t->life) & TASK_DYING) ||
           (signal_pending_set(t) & t->sigwait) || signal_deliverable(t);
}

/* Waking
 * -------------------------------------------------------------------------------------------------------- */

void signal_kick(struct task *t)
{
    if (t->kicked || t->exited)
        return;
    if (!t->host_tid) {
        quiet_call(t);
        return;
    }
    if (syscall(SYS_tgkill, t->process->host_pid, t->host_tid, GATE_KICK_SIGNAL) == 0)
        t->kicked = true;
}

/* Whether t could take signo now (or waits for it in sigtimedwait). */
static bool wants(struct task *t, int signo)
{
    if (t->exited || t->ended_by || (atomic_load(&t->life) & TASK_DYING))
        return false;
    return (t->sigwait & SIGBIT(signo)) || !(task_mask(t) & SIGBIT(signo));
}

static struct task *pick_thread(const struct process *p, int signo)
{
    struct task *t, *embryo = NULL;
    DL_FOREACH2(p->threads, t, thread_next)
    {
        if (!wants(t, signo))
            continue;
        if (t->host_tid)
            return t;
        if (!embryo)
            embryo = t;
    }
    return embryo;
}

bool signal_wake(struct task *t)
{
    if (!task_memory_tid(t) || (t->process->stopped && !t->trace))
        return true; /* attach, or SIGCONT, looks again */
    /* Its caller has just read the mask; in a call of its own it is that still. */
    bool kick = task_is_current(t) ? (signal_pending_set(t) & ~t->blocked) != 0 : signal_deliverable(t) != 0;
    if (kick)
        signal_kick(t);
    task_interrupt(t);
    return kick;
}

void signal_reroute(struct process *p, sigset64 set)
{
    for (; set; set &= set - 1) {
        struct task *t = pick_thread(p, __builtin_ctzll(set) + 1);
        if (!t || !signal_wake(t))
            signal_mark_all(p, set & -set);
    }
}

static bool is_tty_stop(int signo)
{
    return signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU;
}

/* The default action of a signal that is not ignored by default. */
static void act_default(struct process *p, int signo)
{
    if (!(SIGBIT(signo) & SIGSET_STOP)) {
        process_kill_locked(p, signo, true);
        return;
    }
    if (is_tty_stop(signo) && pgrp_is_orphaned(p->container->pids, p->pgid, NULL))
        return;
    process_stop(p, signo);
}

bool signal_is_dropped(const struct task *t, int signo)
{
    return is_ignored(t->process, signo, SIGBIT(signo) & SIGSET_UNBLOCKABLE);
}

void signal_act_default(struct process *p, int signo)
{
    act_default(p, signo);
}

/* What waits because t blocks it: t's gate is to tell when it does not any more, and another thread may take
 * it now. */
static void put_off(struct task *t)
{
    struct process *p = t->process;
    sigset64 set = signal_pending_set(t);
    if (!set || p->group_exit || p->stopped)
        return;
    set &= task_mask(t);
    signal_mark(t, set);
    signal_reroute(p, set & p->pending.set & ~p->marked);
}

void signal_settle(struct task *t)
{
    struct process *p = t->process;
    sigset64 left = signal_deliverable(t), rest = 0;
    if (t->trace) {
        rest = left & ~SIGBIT(SIGKILL); /* whatever is to become of it: its tracer sees it first */
        left &= SIGBIT(SIGKILL);
    }
    for (; left && !p->group_exit && !p->stopped; left &= left - 1) {
        int signo = __builtin_ctzll(left) + 1;
        bool dropped = is_ignored(p, signo, true);
        if (!dropped && !is_default(p, signo)) {
            rest |= SIGBIT(signo);
            continue;
        }
        siginfo_t info;
        (void)signal_dequeue(t, SIGBIT(signo), &info);
        if (!dropped)
            act_default(p, signo);
    }
    if (rest)
        (void)signal_wake(t);
    put_off(t);
}

/* Sending
 * ---------------------------------------------------------------------------------------------------------
 */

/* SIGCONT undoes stops and stops undo SIGCONT, whatever becomes of the signal itself. True: the host is to
 * continue the process. */
static bool undo_opposite(struct process *p, int signo)
{
    if (signo == SIGCONT)
        return process_continue(p);
    if (!(SIGBIT(signo) & SIGSET_STOP))
        return false;
    sigpending_flush(p, &p->pending, SIGBIT(SIGCONT));
    struct task *t;
    DL_FOREACH2(p->threads, t, thread_next)
    {
        sigpending_flush(p, &t->pending, SIGBIT(SIGCONT));
    }
    return false;
}

/* target: the thread for which it is, or NULL for the process's choice. */
static int take(struct process *p, struct task *target, const siginfo_t *info, struct sigqueue *prepared,
                bool from_outside)
{
    int signo = info->si_signo;
    struct task *whose = target ? target : p->leader;
    bool seen = whose->trace && signo != SIGKILL;
    bool ignored = is_ignored(p, signo, from_outside) && !seen;
    if (ignored && !(task_mask(whose) & SIGBIT(signo)))
        return 0; /* what is blocked is kept: the action may have changed when it is unblocked */
    struct task *t = NULL;
    if (!ignored || (whose->sigwait & SIGBIT(signo)) || (!target && p->nthreads > 1))
        t = target ? (wants(target, signo) ? target : NULL) : pick_thread(p, signo);
    bool awaited = t && (t->sigwait & SIGBIT(signo));
    bool held = (p->stopped || (t && t->trace)) && signo != SIGKILL;
    if (t && task_memory_tid(t) && !awaited && !held && is_default(p, signo) && !action_is_ignore(p, signo)) {
        act_default(p, signo);
        return 0;
    }
    if (!target && !(p->pending.set & SIGBIT(signo)))
        p->marked &= ~SIGBIT(signo);
    int r = enqueue(p, target ? &target->pending : &p->pending, info, prepared);
    if (r == 0 && !(t && signal_wake(t)))
        target ? signal_mark(target, SIGBIT(signo)) : signal_mark_all(p, SIGBIT(signo));
    if (r == 0 && signalfd_notify)
        signalfd_notify(p);
    return r;
}

/* A process that was stopped is kicked for what came meanwhile, SIGCONT itself included, before the host lets
 * it go on. */
static int send(struct process *p, struct task *target, const siginfo_t *info, struct sigqueue *prepared,
                bool from_outside)
{
    int signo = info->si_signo;
    if (p->state != PROCESS_ALIVE || p->group_exit || signo < 1 || signo > KSIG_MAX)
        return 0;
    if (p->offered)
        signalfd_hear(p);
    unheard_find(p);
    bool goes_on = undo_opposite(p, signo);
    int r = take(p, target, info, prepared, from_outside);
    if (goes_on)
        process_host_signal(p, SIGCONT);
    return r;
}

int send_signal_task(struct task *t, const siginfo_t *info, bool from_outside)
{
    return t->exited ? 0 : send(t->process, t, info, NULL, from_outside);
}

int send_signal_process(struct process *p, const siginfo_t *info, bool from_outside)
{
    return send(p, NULL, info, NULL, from_outside);
}

int send_timer_signal(struct process *p, struct task *t, struct sigqueue *q, const siginfo_t *info)
{
    return send(p, t, info, q, false);
}

void send_kernel_signal(struct process *p, int signo)
{
    siginfo_t info = {.si_signo = signo, .si_code = SI_KERNEL};
    (void)send(p, NULL, &info, NULL, false);
}

void force_signal(struct task *t, const siginfo_t *info)
{
    int signo = info->si_signo;
    struct process *p = t->process;
    struct ksigaction *sa = &p->sighand->action[signo - 1];
    sigset64 mask = task_mask(t);
    bool unusable = (mask & SIGBIT(signo)) || sa->handler == (uint64_t)(uintptr_t)SIG_IGN;
    if (unusable) {
        sa->handler = (uint64_t)(uintptr_t)SIG_DFL;
        task_mask_set(t, mask & ~SIGBIT(signo));
        fast_action_changed(t, signo);
    }
    if (sa->handler == (uint64_t)(uintptr_t)SIG_DFL && !t->trace)
        process_kill_locked(p, signo, true); /* init, too */
    else
        (void)enqueue(p, &t->pending, info, NULL);
}

int send_signal_pgrp(const struct pid_ns *ns, pid_t pgid, const siginfo_t *info)
{
    int n = 0;
    struct process *p, *tmp;
    HASH_ITER(hh_pid, ns->processes, p, tmp)
    {
        if (p->pgid != pgid)
            continue;
        n++;
        (void)send(p, NULL, info, NULL, false);
    }
    return n ? n : -ESRCH;
}

void deliver_external_signal(struct process *p, int signo, int si_code, pid_t pid, uid_t uid)
{
    siginfo_t info = {.si_signo = signo, .si_code = si_code};
    info.si_pid = pid;
    info.si_uid = uid;
    {
        LOCKED(&kernel.tasklist_lock);
        if (p->state == PROCESS_ALIVE && signo >= 1 && signo <= KSIG_MAX)
            (void)send(p, NULL, &info, NULL, true);
    }
    tasks_bury();
}
