/* Job control: a process is stopped and continued by the host; the keep only says when, and tells the parent.
 */
#include <sys/syscall.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/signal/signal_internal.h"
#include "sandbox/keep/task/deaths.h"
#include "sandbox/keep/task/unheard.h"
#include "sandbox/keep/trace/trace.h"

void process_host_signal(struct process *p, int signo)
{
    unheard_find(p);
    if (deaths_watch(p))
        (void)syscall(SYS_pidfd_send_signal, p->pidfd, signo, NULL, 0);
}

void process_stop(struct process *p, int signo)
{
    if (p->stopped || p->state != PROCESS_ALIVE || p->group_exit)
        return;
    p->stopped = true;
    p->stop_reported = false;
    p->continued_pending = false;
    p->stop_signal = signo;
    p->container->pids->nstopped++;
    bool soft = trace_has_tracee(p);
    if (soft)
        trace_group_stopped(p);
    else
        process_host_signal(p, SIGSTOP);
    /* Waits in the keep end, so that a stopped reader takes no input; the gate restarts them after SIGCONT.
     */
    struct task *t;
    DL_FOREACH2(p->threads, t, thread_next)
    {
        if (!t->exited && t->sleep != SLEEP_NONE) {
            signal_kick(t);
            t->sleep_stopped = true;
            task_interrupt(t);
        }
    }
    if (p->parent && !(p->leader->trace && p->leader->trace->tracer == p->parent))
        notify_parent_of(p, p->parent, CLD_STOPPED, signo);
}

bool process_continue(struct process *p)
{
    sigset64 stops = SIGSET_STOP;
    struct task *t;
    sigpending_flush(p, &p->pending, stops);
    DL_FOREACH2(p->threads, t, thread_next)
    {
        sigpending_flush(p, &t->pending, stops);
    }
    if (!p->stopped)
        return false;
    bool by_host = !p->soft_stop;
    p->stopped = false;
    p->continued_pending = true;
    p->stop_reported = false;
    p->container->pids->nstopped--;
    trace_group_continues(p);
    DL_FOREACH2(p->threads, t, thread_next)
    {
        if (!t->exited)
            signal_settle(t); /* what came meanwhile */
    }
    if (p->parent)
        notify_parent_of(p, p->parent, CLD_CONTINUED, SIGCONT);
    return by_host;
}
