/* The end of threads and processes: release, re-parenting, telling the parent, reaping. */
#include <poll.h>
#include <stddef.h>
#include <string.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/container/session.h"
#include "sandbox/keep/device/tty.h"
#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/ipc/sysv.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/seccomp/seccomp.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/clone.h"
#include "sandbox/keep/task/deaths.h"
#include "sandbox/keep/task/exec.h"
#include "sandbox/keep/task/task_internal.h"
#include "sandbox/keep/time/timer.h"
#include "sandbox/keep/trace/trace.h"
#include "sandbox/platform/listener.h"

/* Robust futexes (set_robust_list(2))
 * -------------------------------------------------------------------------- */

#define ROBUST_LIST_LIMIT 2048
#define FUTEX_TID_MASK_ 0x3fffffffU
#define FUTEX_OWNER_DIED_ 0x40000000U
#define FUTEX_WAITERS_ 0x80000000U

/* [T] Waiters are in the host's futex wait, on memory that the keep does not map. A kick makes each look at
 * its word again: a wake-up for nothing, as every futex user must expect. */
static void kick_everyone(const struct pid_ns *ns)
{
    for (struct task *t = ns->tids; t; t = t->hh_tid.next)
        signal_kick(t);
}

/* [T] The lock word holds the guest's tid, which the host's own walk would not know. */
static void mark_owner_died(struct task *t, uaddr_t word)
{
    uint32_t v;
    if ((word & 3) || get_user(t, &v, word) < 0 || (v & FUTEX_TID_MASK_) != (uint32_t)t->tid)
        return;
    if (put_user(t, (v & FUTEX_WAITERS_) | FUTEX_OWNER_DIED_, uint32_t, word) == 0 && (v & FUTEX_WAITERS_))
        kick_everyone(t->process->container->pids);
}

uaddr_t task_robust_list(struct task *t)
{
    if (t->mask_in_slot)
        (void)get_user(t, &t->robust_list, t->slot + offsetof(struct gate_slot, robust));
    return t->robust_list;
}

/* [T] */
static void walk_robust_list(struct task *t)
{
    struct {
        uint64_t next;
        int64_t offset;
        uint64_t pending;
    } head;
    uaddr_t list = task_robust_list(t);
    if (!list || get_user(t, &head, list) < 0)
        return;
    uint64_t entry = head.next;
    for (int i = 0; i < ROBUST_LIST_LIMIT && (entry & ~1ULL) != list; i++) {
        uint64_t next;
        uaddr_t at = entry & ~1ULL;
        int r = get_user(t, &next, at);
        if (at != (head.pending & ~1ULL))
            mark_owner_died(t, at + (uint64_t)head.offset);
        if (r < 0)
            return;
        entry = next;
    }
    if (head.pending & ~1ULL)
        mark_owner_died(t, (head.pending & ~1ULL) + (uint64_t)head.offset);
}

/* [T] */
uaddr_t task_tid_address(struct task *t)
{
    const struct mm *mm = t->process->mm;
    struct gate_tid_address noted;

    if (t == t->process->leader && mm && mm->given_at &&
        get_user(t, &noted, mm->given_at + offsetof(struct gate_given, cleared)) == 0 && noted.tid == t->tid)
        return noted.address;
    return t->clear_child_tid;
}

/* [T] Who shares its memory is told: CLONE_CHILD_CLEARTID's word is the host's to clear, but it does so
 * perhaps after the parent has heard of the end. */
static void clear_child_id(struct task *t)
{
    const struct mm *mm = t->process->mm;
    bool shared = mm && atomic_load(&mm->refs) > 1;
    bool others = t->process->nthreads > 1 && !t->process->group_exit;
    uaddr_t word = shared || others ? task_tid_address(t) : 0;

    if (t->native_ctid && shared)
        (void)put_user(t, 0, int32_t, t->native_ctid);
    if (word && put_user(t, 0, int32_t, word) == 0)
        kick_everyone(t->process->container->pids);
}

/* What the dying thread does to guest memory; only while its host thread surely lives (its own exit call). */
static void release_user(struct task *t)
{
    LOCKED(&kernel.tasklist_lock);
    if (!task_is_current(t))
        return;
    clear_child_id(t);
    if (t->process->group_exit)
        return;
    walk_robust_list(t);
}

/* Family ----------------------------------------------------------------------------------------------------
 */

bool pgrp_is_orphaned(const struct pid_ns *ns, pid_t pgid, const struct process *ignore)
{
    for (const struct process *p = ns->processes; p; p = p->hh_pid.next) {
        /* The container's init counts as any parent: as a shell it may well be the one that continues its
         * jobs. */
        if (p->pgid != pgid || p == ignore || p->state != PROCESS_ALIVE || !p->parent)
            continue;
        if (p->parent->pgid != pgid && p->parent->sid == p->sid && p->parent != ignore)
            return false;
    }
    return true;
}

static bool pgrp_has_stopped(const struct pid_ns *ns, pid_t pgid)
{
    for (const struct process *p = ns->processes; p; p = p->hh_pid.next)
        if (p->pgid == pgid && p->stopped)
            return true;
    return false;
}

/* p's end, or p's parent's: its group may have lost the last one who could continue it. */
static void hup_if_orphaned(struct process *p, const struct process *parent, const struct process *leaving)
{
    struct pid_ns *ns = p->container->pids;
    if (!ns->nstopped || !parent || parent->pgid == p->pgid || parent->sid != p->sid)
        return;
    if (!pgrp_is_orphaned(ns, p->pgid, leaving) || !pgrp_has_stopped(ns, p->pgid))
        return;
    siginfo_t info = {.si_signo = SIGHUP, .si_code = SI_KERNEL};
    (void)send_signal_pgrp(ns, p->pgid, &info);
    info.si_signo = SIGCONT;
    (void)send_signal_pgrp(ns, p->pgid, &info);
}

static struct process *new_parent_for_children(const struct process *p)
{
    for (struct process *q = p->parent; q; q = q->parent)
        if (q->child_subreaper && q->state == PROCESS_ALIVE && !q->group_exit)
            return q;
    struct process *init = p->container->pids->init;
    return init != p && init && init->state == PROCESS_ALIVE ? init : NULL;
}

static void tell_pdeath(struct process *child, const struct process *parent)
{
    struct task *t;
    DL_FOREACH2(child->threads, t, thread_next)
    {
        if (!t->pdeath_signal || t->exited)
            continue;
        siginfo_t info = {.si_signo = t->pdeath_signal, .si_code = SI_USER};
        info.si_pid = parent->pid;
        (void)send_signal_process(child, &info, false);
    }
}

static void end_as_seen_by(struct process *p, struct process *parent);

static void hand_over_children(struct process *p)
{
    struct process *heir = new_parent_for_children(p), *child, *tmp;
    DL_FOREACH_SAFE2(p->children, child, tmp, sibling_next)
    {
        DL_DELETE2(p->children, child, sibling_prev, sibling_next);
        child->parent = heir;
        child->exit_signal = SIGCHLD;
        if (heir)
            DL_APPEND2(heir->children, child, sibling_prev, sibling_next);
        tell_pdeath(child, p);
        if (child->state == PROCESS_ZOMBIE)
            end_as_seen_by(child, heir);
        else
            hup_if_orphaned(child, p, p);
    }
}

/* Telling, reaping
 * -------------------------------------------------------------------------------------------- */

/* Those of parent's threads that wait in the keep, for a child most likely. */
static void wake_waiters(struct process *parent)
{
    struct task *t;
    if (!parent->nparked)
        return;
    DL_FOREACH2(parent->threads, t, thread_next)
    {
        parked_due(t);
    }
}

void notify_parent_of(struct process *p, struct process *parent, int code, int status)
{
    siginfo_t info = {.si_signo = SIGCHLD, .si_code = code};
    long hz = sysconf(_SC_CLK_TCK);
    struct timespec ut, st;
    process_cputime(p, &ut, &st);
    info.si_pid = p->pid;
    info.si_uid = p->leader ? p->leader->cred->uid : 0;
    info.si_status = status;
    info.si_utime = ts_ns(&ut) / (NSEC_PER_SEC / hz);
    info.si_stime = ts_ns(&st) / (NSEC_PER_SEC / hz);
    const struct ksigaction *sa = &parent->sighand->action[SIGCHLD - 1];
    bool ended = code == CLD_EXITED || code == CLD_KILLED || code == CLD_DUMPED;
    int signo = ended ? p->exit_signal : SIGCHLD;
    info.si_signo = signo;
    bool wanted = ended || (sa->handler != (uint64_t)(uintptr_t)SIG_IGN && !(sa->flags & SA_NOCLDSTOP));
    if (signo && wanted)
        (void)send_signal_process(parent, &info, false);
    wake_waiters(parent);
}

void notify_tracer(const struct trace *tr, int code, int status)
{
    struct process *tracer = tr->tracer;
    const struct ksigaction *sa = &tracer->sighand->action[SIGCHLD - 1];
    siginfo_t info = {.si_signo = SIGCHLD, .si_code = code};
    info.si_pid = tr->tid;
    info.si_uid = tr->task ? tr->task->cred->uid : tr->uid;
    info.si_status = status;
    if (sa->handler != (uint64_t)(uintptr_t)SIG_IGN && !(sa->flags & SA_NOCLDSTOP))
        (void)send_signal_process(tracer, &info, false);
    wake_waiters(tracer);
}

void process_reap(struct process *p, bool count_times)
{
    struct process *parent = p->parent;
    if (parent && count_times) {
        parent->cutime = ts_add(parent->cutime, ts_add(p->utime, p->cutime));
        parent->cstime = ts_add(parent->cstime, ts_add(p->stime, p->cstime));
        long peak = p->maxrss > p->cmaxrss ? p->maxrss : p->cmaxrss;
        if (peak > parent->cmaxrss)
            parent->cmaxrss = peak;
    }
    process_unlink(p);
}

static void end_as_seen_by(struct process *p, struct process *parent)
{
    if (!parent) {
        /* Started from outside (exec), or the container is coming down. */
        if (!p->is_init || p->container->ended)
            process_reap(p, false);
        return;
    }
    const struct ksigaction *sa = &parent->sighand->action[SIGCHLD - 1];
    bool auto_reap = p->exit_signal == SIGCHLD &&
                     (sa->handler == (uint64_t)(uintptr_t)SIG_IGN || (sa->flags & SA_NOCLDWAIT));
    notify_parent_of(p, parent, end_code(p->exit_status), end_status(p->exit_status));
    if (auto_reap || p->container->ended)
        process_reap(p, false);
}

/* The end
 * ----------------------------------------------------------------------------------------------------- */

/* The ticks of a busy machine miss short lives: they say how the time divides, as in Linux's own count. */
static void sample_times(struct process *p)
{
    struct timespec ut, st;
    process_cputime(p, &ut, &st);
    int64_t exact = process_cpu_ns(p), ticks = ts_ns(&ut) + ts_ns(&st);
    int64_t sys = ticks > 0 ? (int64_t)((double)exact * (double)ts_ns(&st) / (double)ticks) : 0;
    p->utime = ns_ts(exact - sys);
    p->stime = ns_ts(sys);
    if (p->container->count_memory)
        p->maxrss = process_maxrss(p);
}

static void kill_all_others(struct process *init)
{
    struct process *p, *tmp;
    HASH_ITER(hh_pid, init->container->pids->processes, p, tmp)
    {
        if (p != init && p->state == PROCESS_ALIVE)
            process_kill_locked(p, SIGKILL, true);
    }
}

void process_kill_locked(struct process *p, int status, bool kill_host)
{
    if (p->state != PROCESS_ALIVE)
        return;
    struct task *t;
    if (!p->group_exit) {
        sample_times(p);
        DL_FOREACH2(p->threads, t, thread_next)
        {
            if (!t->exited && task_memory_tid(t))
                walk_robust_list(t);
        }
        p->group_exit = true;
        p->exit_status = status;
        if (p->stopped)
            p->container->pids->nstopped--;
        p->stopped = false;
    }
    if (kill_host)
        process_host_signal(p, SIGKILL);
    DL_FOREACH2(p->threads, t, thread_next)
    {
        if (t->exited)
            continue;
        t->exit_status = p->exit_status;
        unsigned life = atomic_fetch_or(&t->life, TASK_DYING);
        if (life & TASK_BUSY)
            task_interrupt(t); /* its worker sees to the rest */
        else if (!(life & (TASK_DYING | TASK_EXITED)))
            task_bury_later(t);
    }
}

struct leftovers {
    struct mm *mm;
    struct tty *ctty;
    int pidfd;
};

/* [T] The last thread is gone. */
static void process_finish(struct process *p, int status, struct leftovers *left)
{
    if (!p->group_exit) {
        sample_times(p);
        p->exit_status = status;
    }
    if (p->stopped)
        p->container->pids->nstopped--;
    p->stopped = false;
    itimers_cancel(p);
    posix_timers_delete(p);
    if (p->sid == p->pid)
        tty_session_exited(p);
    if (sysv_process_exit)
        sysv_process_exit(p);
    trace_tracer_ended(p);
    trace_ended(p->leader, p->exit_status);
    p->state = PROCESS_ZOMBIE;
    if (p->is_init)
        kill_all_others(p);
    hand_over_children(p);
    hup_if_orphaned(p, p->parent, p);
    sigpending_flush(p, &p->pending, ~0ULL);
    left->mm = steal_ptr(&p->mm);
    deaths_forget(p);
    left->pidfd = steal_fd(&p->pidfd);
    left->ctty = steal_ptr(&p->ctty);
    session_exited(p);
    if (pidfd_notify)
        pidfd_notify(p);
    end_as_seen_by(p, p->parent);
}

/* [T] Takes the thread out of everything. */
static void thread_finish(struct task *t, int status, struct leftovers *left)
{
    struct process *p = t->process;
    task_forget_host(t);
    sigpending_flush(p, &t->pending, ~0ULL);
    t->exited = true;
    seccomp_task_ended(t);
    p->nthreads--;
    clone_task_ended(t);
    quiet_thread_ended(t);
    trace_vfork_ends(t);
    if (t != p->leader) {
        trace_ended(t, status);
        task_unlink(t);
    }
    if (p->nthreads && !p->group_exit) /* what it was kicked for */
        signal_reroute(p, p->pending.set);
    if (p->nthreads == 0)
        process_finish(p, status, left);
}

#define HOST_DEATH_MS 1000 /* a busy or throttled host takes its time */
#define FROZEN_MS 200

static bool is_last(const struct task *t)
{
    LOCKED(&kernel.tasklist_lock);
    return t->process->nthreads == 1;
}

/* It was killed: the host closes its descriptors some time soon; a frozen process, later, which is not
 * waited for. */
static void await_host_death(struct process *p)
{
    struct pollfd pfd = {.events = POLLIN};
    {
        LOCKED(&kernel.tasklist_lock);
        if (!deaths_watch(p))
            return;
        pfd.fd = p->pidfd;
    }
    worker_about_to_block();
    (void)poll(&pfd, 1, p->container->frozen ? FROZEN_MS : HOST_DEATH_MS);
}

void task_exit(struct task *t, int status)
{
    struct process *p = t->process;
    bool current_exit = task_is_current(t);
    struct parked *parked;
    {
        LOCKED(&kernel.tasklist_lock);
        unsigned life = atomic_fetch_or(&t->life, TASK_DYING);
        if (!(life & TASK_DYING))
            t->exit_status = p->group_exit ? p->exit_status : status;
        if ((life & TASK_BUSY) && !task_is_current(t)) {
            task_interrupt(t);
            return;
        }
        if (atomic_fetch_or(&t->life, TASK_EXITED) & TASK_EXITED)
            return;
        parked = parked_drop(t);
    }
    parked_free(parked); /* t has other references */
    release_user(t);
    exec_plan_free(steal_ptr(&t->exec)); /* killed between the plan and the new program */
    struct leftovers left = {.pidfd = -1};
    struct fdtable *fdt;
    struct fs *fs;
    {
        LOCKED(&kernel.tasklist_lock);
        fdt = steal_ptr(&t->fdt);
        fs = steal_ptr(&t->fs);
    }
    /* Before the parent hears of the end: it may count on the pipes being closed. */
    if (fdt) {
        if (!current_exit && is_last(t) && fdtable_lent(fdt))
            await_host_death(p);
        fdtable_put(fdt);
    }
    if (fs)
        fs_put(fs);
    process_get(p);
    {
        LOCKED(&kernel.tasklist_lock);
        thread_finish(t, t->exit_status, &left);
    }
    if (left.pidfd >= 0) /* nobody is to hear when the host's process follows */
        (void)close(left.pidfd);
    mm_put(left.mm);
    mm_put(steal_ptr(&t->old_mm));
    if (left.ctty)
        tty_put(left.ctty);
    process_put(p);
}

void process_exit(struct process *p, int status, bool kill_host)
{
    process_get(p);
    {
        LOCKED(&kernel.tasklist_lock);
        process_kill_locked(p, status, kill_host);
    }
    tasks_bury();
    process_put(p);
}

/* False: the process is to end instead, as t is its last thread, or the host does not take the kick. */
static bool ask_gate_to_end(struct task *t, int signo)
{
    LOCKED(&kernel.tasklist_lock);
    if (t->process->nthreads == 1)
        return false;
    t->ended_by = signo;
    signal_kick(t);
    return t->kicked;
}

void task_end_alone(struct task *t, int signo)
{
    if (!ask_gate_to_end(t, signo))
        process_exit(t->process, signo, true);
}

/* Only its own threads use the table, or those of its last moments. */
static void withdraw_lanes(struct task *t, const struct sysargs *a)
{
    unsigned nthreads;
    {
        LOCKED(&kernel.tasklist_lock);
        nthreads = t->process->nthreads;
    }
    if (fdtable_users(t->fdt) <= nthreads && fdtable_lent(t->fdt))
        fdtable_withdraw(t->fdt, a);
}

/* Whether t is the last one does not change any more, but by the end of threads that ring. */
static void have_others_stay(const struct task *t)
{
    if (!atomic_load(&kernel.leavers))
        return;
    {
        LOCKED(&kernel.tasklist_lock);
        quiet_stay(t->process);
    }
    tasks_bury();
}

long sys_exit(struct task *t, const struct sysargs *a)
{
    bool gate = from_gate(a);
    have_others_stay(t);
    if (gate) { /* its slot is not asked again */
        LOCKED(&kernel.tasklist_lock);
        t->robust_list = t->mask_in_slot ? a->arg[2] : t->robust_list;
        t->mask_in_slot = false;
    }
    if (is_last(t))
        withdraw_lanes(t, a);
    task_exit(t, t->ended_by ? t->ended_by : (int)(a->arg[0] & 0xff) << 8);
    if (gate && a->arg[1]) /* the thread's area is another's from here on; this one only ends */
        (void)put_user(t, 0, uint32_t, a->arg[1]);
    return SYS_CONTINUE;
}

long sys_exit_group(struct task *t, const struct sysargs *a)
{
    int status = (int)(a->arg[0] & 0xff) << 8;
    withdraw_lanes(t, a);
    process_exit(t->process, status, false);
    task_exit(t, status);
    return SYS_CONTINUE;
}
