#include "sandbox/keep/trace/trace.h"

#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/task/park.h"
#include "sandbox/keep/task/task.h"

#define TRACEES_MAX 4096 /* of a process */

/* Beginning and end ----------------------------------------------------------------------------------------
 */

int trace_begin(struct process *tracer, struct task *t, bool seized, bool capable, unsigned options)
{
    if (t->trace)
        return -EPERM;
    if (tracer->ntracees >= TRACEES_MAX)
        return -ENOMEM;
    struct trace *tr = calloc(1, sizeof(*tr));
    if (!tr)
        return -ENOMEM;
    tr->tracer = tracer;
    tr->task = t;
    tr->tid = t->tid;
    tr->seized = seized;
    tr->capable = capable;
    tr->options = options;
    t->trace = tr;
    DL_APPEND(tracer->tracees, tr);
    tracer->ntracees++;
    fast_ids_changed(t);
    return 0;
}

void trace_free(struct trace *tr)
{
    DL_DELETE(tr->tracer->tracees, tr);
    tr->tracer->ntracees--;
    free(tr);
}

/* [T] What waits was held back for the tracer. */
static void look_again(struct task *t)
{
    signal_settle(t);
    signal_kick(t);
    parked_due(t);
}

void trace_detach(struct trace *tr, int signo)
{
    struct task *t = tr->task;

    if (t) {
        if (tr->state == TRACE_STOPPED || tr->state == TRACE_LISTENS)
            trace_resume(tr, TRACE_CONT, signo);
        t->trace = NULL;
    }
    trace_free(tr);
    if (!t)
        return;
    fast_ids_changed(t);
    look_again(t);
}

/* wait(2), NOTES: those of who ignores SIGCHLD are not kept for it. */
static bool leaves_no_zombies(const struct process *p)
{
    const struct ksigaction *sa = &p->sighand->action[SIGCHLD - 1];

    return sa->handler == (uint64_t)(uintptr_t)SIG_IGN || (sa->flags & SA_NOCLDWAIT);
}

/* A thread's end is its tracer's to wait for, unless that is the parent of the process, which hears of it as
 * such. */
void trace_ended(struct task *t, int status)
{
    struct trace *tr = t->trace;

    if (!tr)
        return;
    t->trace = NULL;
    tr->task = NULL;
    if ((t == t->process->leader && tr->tracer == t->process->parent) || leaves_no_zombies(tr->tracer)) {
        trace_free(tr);
        return;
    }
    tr->pgid = t->process->pgid;
    tr->uid = t->cred->uid;
    tr->state = TRACE_ENDED;
    tr->exit_status = status;
    tr->reported = false;
    notify_tracer(tr, end_code(status), end_status(status));
}

void trace_tracer_ended(struct process *p)
{
    struct trace *tr, *tmp;

    DL_FOREACH_SAFE(p->tracees, tr, tmp)
    {
        if (tr->task && (tr->options & PTRACE_O_EXITKILL))
            process_kill_locked(tr->task->process, SIGKILL, true);
        trace_detach(tr, 0);
    }
}

/* Going on -------------------------------------------------------------------------------------------------
 */

void trace_interrupt(struct trace *tr)
{
    if (!tr->task)
        return;
    tr->interrupt = true;
    if (tr->state == TRACE_STOPPED) /* when it goes on */
        return;
    if (tr->state == TRACE_LISTENS)
        tr->state = TRACE_RUNS;
    signal_kick(tr->task);
    task_interrupt(tr->task);
}

/* Events ---------------------------------------------------------------------------------------------------
 */

static unsigned option_of(unsigned event)
{
    return 1U << event;
}

bool trace_event(struct task *t, unsigned event, unsigned long message)
{
    struct trace *tr = t->trace;

    if (!tr || !(tr->options & option_of(event)))
        return false;
    tr->event = event;
    tr->event_message = message;
    signal_kick(t);
    return true;
}

void trace_cloned(struct task *t, struct task *child, unsigned long flags, int exit_signal)
{
    const struct trace *tr = t->trace;
    unsigned event = flags & CLONE_VFORK                                ? PTRACE_EVENT_VFORK
                     : (flags & CLONE_THREAD) || exit_signal != SIGCHLD ? PTRACE_EVENT_CLONE
                                                                        : PTRACE_EVENT_FORK;

    if (!tr || (flags & CLONE_UNTRACED))
        return;
    bool told = trace_event(t, event, (unsigned long)child->tid);
    if (!told && !(flags & CLONE_PTRACE))
        return;
    if (trace_begin(tr->tracer, child, tr->seized, tr->capable, tr->options) < 0)
        return;
    if (tr->seized)
        child->trace->interrupt = true;
    else
        (void)send_signal_task(child, &(siginfo_t){.si_signo = SIGSTOP, .si_code = SI_KERNEL}, true);
}

void trace_clone_failed(struct task *t, struct task *child)
{
    if (t->trace)
        t->trace->event = 0;
    if (!child->trace)
        return;
    trace_free(child->trace);
    child->trace = NULL;
}

void trace_vfork_ends(struct task *t)
{
    struct task *waiter = t->vfork_waiter ? task_by_tid(t->process->container->pids, t->vfork_waiter) : NULL;

    t->vfork_child = false;
    t->vfork_waiter = 0;
    if (waiter)
        parked_due(waiter);
}

void trace_execed(struct task *t, pid_t tid)
{
    struct trace *tr = t->trace;

    t->gate_traced = false;
    if (!tr)
        return;
    tr->tid = t->tid;
    if (!trace_event(t, PTRACE_EVENT_EXEC, (unsigned long)tid) && !tr->seized) {
        siginfo_t info = {.si_signo = SIGTRAP, .si_code = SI_USER};
        info.si_pid = t->process->pid;
        info.si_uid = t->cred->uid;
        (void)send_signal_task(t, &info, false);
    }
    signal_kick(t);
}

/* Group-stops ----------------------------------------------------------------------------------------------
 */

bool trace_has_tracee(const struct process *p)
{
    const struct task *t;

    DL_FOREACH2(p->threads, t, thread_next)
    {
        if (t->trace)
            return true;
    }
    return false;
}

void trace_group_stopped(struct process *p)
{
    struct task *t;

    p->soft_stop = true;
    DL_FOREACH2(p->threads, t, thread_next)
    {
        if (t->exited)
            continue;
        if (t->trace)
            t->trace->group_told = false;
        signal_kick(t);
        parked_due(t);
    }
}

void trace_soften_stop(struct process *p)
{
    if (!p->stopped || p->soft_stop)
        return;
    trace_group_stopped(p);
    process_host_signal(p, SIGCONT);
}

void trace_group_continues(struct process *p)
{
    struct task *t;

    p->soft_stop = false;
    DL_FOREACH2(p->threads, t, thread_next)
    {
        struct trace *tr = t->trace;
        if (t->exited)
            continue;
        if (tr)
            tr->group_told = false;
        if (tr && tr->seized)
            trace_interrupt(tr);
        parked_due(t);
    }
}

bool trace_is_due(const struct task *t)
{
    const struct trace *tr = t->trace;

    if (!tr)
        return false;
    return tr->interrupt || tr->event || (t->process->stopped && !tr->group_told);
}

bool task_is_stopped(const struct task *t)
{
    return t->process->stopped && !(t->trace && t->trace->group_told);
}

bool trace_wants_stop(const struct task *t)
{
    return t->trace || t->gate_traced || (t->process->stopped && t->process->soft_stop);
}
