/* GATE_STOP: a thread stands in its gate, and its tracer sees one stop after the other (ptrace(2)), until
 * nothing is left to be seen and it goes on. Threads that are not traced stand here while their process is
 * stopped, if another of its threads is. */
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "sandbox/keep/seccomp/seccomp.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/trace/trace_internal.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/platform/listener.h"

#define AGAIN (-0x5354L) /* look once more */

static long look(struct parked *p);

static struct stop *stop_of(struct task *t)
{
    return t->parked && t->parked->look == look ? (struct stop *)t->parked : NULL;
}

struct user_regs_struct *stop_regs(struct task *t)
{
    struct stop *s = stop_of(t);

    return s ? &s->regs : NULL;
}

uaddr_t stop_fpstate(struct task *t)
{
    const struct stop *s = stop_of(t);

    return s ? s->fpstate : 0;
}

void trace_resume(struct trace *tr, enum trace_mode mode, int signo)
{
    struct stop *s = stop_of(tr->task);

    tr->mode = mode;
    tr->state = TRACE_RUNS;
    if (s)
        s->signo = signo;
    parked_due(tr->task);
}

/* Stops ----------------------------------------------------------------------------------------------------
 */

/* [T] It stands, for its tracer to see. */
static void report(struct stop *s, enum stop_at at, int code, const siginfo_t *info)
{
    struct trace *tr = s->parked.task->trace;

    s->at = at;
    s->signo = 0;
    tr->state = TRACE_STOPPED;
    tr->code = code;
    tr->reported = false;
    tr->interrupt = false; /* any stop makes up for it */
    tr->has_info = info != NULL;
    if (info)
        tr->info = *info;
    notify_tracer(tr, info ? CLD_TRAPPED : CLD_STOPPED, code & 0x7f);
}

static void report_trap(struct stop *s, enum stop_at at, int code)
{
    const struct task *t = s->parked.task;
    siginfo_t info = {.si_signo = SIGTRAP, .si_code = code};

    info.si_pid = t->tid;
    info.si_uid = t->cred->uid;
    report(s, at, code, &info);
}

static void report_event(struct stop *s, unsigned event, unsigned long message)
{
    struct trace *tr = s->parked.task->trace;

    tr->message = message;
    tr->event = 0;
    report_trap(s, AT_EVENT, SIGTRAP | (int)event << 8);
}

static void report_call(struct stop *s, bool enter)
{
    struct trace *tr = s->parked.task->trace;

    tr->call_op = enter ? PTRACE_SYSCALL_INFO_ENTRY : PTRACE_SYSCALL_INFO_EXIT;
    tr->message = enter ? 1 : 2; /* PTRACE_EVENTMSG_SYSCALL_* */
    report_trap(s, AT_CALL, SIGTRAP | (tr->options & PTRACE_O_TRACESYSGOOD ? 0x80 : 0));
}

static struct seccomp_data call_of(const struct user_regs_struct *r)
{
    return (struct seccomp_data){.nr = (int)r->orig_rax,
                                 .arch = AUDIT_ARCH_X86_64,
                                 .instruction_pointer = r->rip,
                                 .args = {r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9}};
}

/* A filter wants the tracer to see the call, as it has become by now. */
static bool is_filtered(struct stop *s)
{
    const struct task *t = s->parked.task;
    const struct seccomp_data d = call_of(&s->regs);

    if (s->filters || !(t->trace->options & PTRACE_O_TRACESECCOMP) || (long long)s->regs.orig_rax < 0)
        return false;
    s->filters = true;
    uint32_t v = seccomp_verdict(t, &d);
    s->shown = (v & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_TRACE;
    if (!s->shown)
        return false;
    report_event(s, PTRACE_EVENT_SECCOMP, v & SECCOMP_RET_DATA);
    t->trace->call_op = PTRACE_SYSCALL_INFO_SECCOMP;
    return true;
}

/* The call goes on. */
static void let_pass(const struct stop *s)
{
    struct task *t = s->parked.task;
    const struct seccomp_data d = call_of(&s->regs);

    t->shown.is = s->shown;
    t->shown.nr = d.nr;
    for (int i = 0; i < 6; i++)
        t->shown.arg[i] = d.args[i];
}

static bool enters_call(struct stop *s)
{
    struct trace *tr = s->parked.task->trace;
    bool again = tr->again;

    if (s->told)
        return is_filtered(s);
    s->told = true;
    tr->in_call = true;
    tr->again = false;
    if (again || tr->mode != TRACE_CALLS)
        return is_filtered(s);
    report_call(s, true);
    return true;
}

/* A call that was interrupted for nothing that anybody is to see is made again, and that is not seen either.
 */
static bool is_made_again(const struct stop *s)
{
    struct task *t = s->parked.task;

    return s->why == GATE_STOP_SIGNAL && stop_was_interrupted(&s->regs) && !trace_is_due(t) &&
           !signal_deliverable(t);
}

static bool leaves_call(struct stop *s)
{
    struct task *t = s->parked.task;
    struct trace *tr = t->trace;

    bool stepped = s->why == GATE_STOP_EXIT && !s->told && tr->mode == TRACE_STEP;
    s->told |= stepped; /* such a call began unseen */
    if (!tr->in_call && !stepped)
        return false;
    if (is_made_again(s)) {
        tr->again = true;
        return false;
    }
    tr->in_call = false;
    if (tr->mode == TRACE_STEP) {
        siginfo_t info = {.si_signo = SIGTRAP, .si_code = TRAP_BRKPT};
        info.si_addr = (void *)(uintptr_t)s->regs.rip; /* opaque: the guest's */
        force_signal(t, &info);
    }
    if (tr->mode != TRACE_CALLS)
        return false;
    report_call(s, false);
    return true;
}

static bool stops_with_group(struct stop *s)
{
    const struct process *p = s->parked.task->process;
    struct trace *tr = s->parked.task->trace;
    bool group = p->stopped && !tr->group_told;

    if (!tr->interrupt && !group)
        return false;
    tr->interrupt = false;
    tr->group_told = p->stopped;
    int signo = p->stopped ? p->stop_signal : SIGTRAP;
    if (tr->seized) {
        siginfo_t info = {.si_signo = signo, .si_code = signo | PTRACE_EVENT_STOP << 8};
        info.si_pid = s->parked.task->tid;
        info.si_uid = s->parked.task->cred->uid;
        report(s, AT_EVENT, info.si_code, &info);
    } else {
        report(s, AT_EVENT, signo, NULL);
    }
    return true;
}

static bool takes_signal(struct stop *s)
{
    struct task *t = s->parked.task;
    siginfo_t info;
    int signo = signal_dequeue(t, signal_deliverable(t), &info);

    if (!signo)
        return false;
    report(s, AT_SIGNAL, signo, &info);
    return true;
}

/* [T] Its vfork is not over. */
static bool waits_for_child(const struct stop *s)
{
    const struct task *t = s->parked.task;
    struct task *child = task_by_tid(t->process->container->pids, (pid_t)s->nr);

    if (!child || child->exited || !child->vfork_child || child->process->parent != t->process)
        return false;
    child->vfork_waiter = t->tid;
    return true;
}

static bool ends_vfork(struct stop *s)
{
    const struct trace *tr = s->parked.task->trace;

    if (s->told || !(tr->options & PTRACE_O_TRACEVFORKDONE))
        return false;
    s->told = true;
    report_event(s, PTRACE_EVENT_VFORK_DONE, s->nr);
    return true;
}

/* [T] True: the thread stands. */
static bool next_stop(struct stop *s)
{
    struct trace *tr = s->parked.task->trace;

    tr->call_op = PTRACE_SYSCALL_INFO_NONE;
    if (s->why == GATE_STOP_ENTER)
        return enters_call(s);
    if (s->why == GATE_STOP_ENDS) {
        if (s->told || !(tr->options & PTRACE_O_TRACEEXIT))
            return false;
        s->told = true;
        report_event(s, PTRACE_EVENT_EXIT, s->nr);
        return true;
    }
    if (tr->event) {
        report_event(s, tr->event, tr->event_message);
        return true;
    }
    if (s->why == GATE_STOP_VFORK)
        return waits_for_child(s) || ends_vfork(s);
    if (s->why == GATE_STOP_FRAME && !s->told && tr->mode == TRACE_STEP) {
        s->told = true;
        report_trap(s, AT_EVENT, SIGTRAP);
        return true;
    }
    return leaves_call(s) || stops_with_group(s) || takes_signal(s);
}

/* Going on -------------------------------------------------------------------------------------------------
 */

/* [T] The process ends; where the tracer wants to see that, it does first. */
static long die(struct stop *s, int signo)
{
    struct task *t = s->parked.task;
    struct trace *tr = t->trace;

    if (tr && (tr->options & PTRACE_O_TRACEEXIT) && s->why != GATE_STOP_ENDS) {
        s->why = GATE_STOP_ENDS; /* and come here again */
        s->told = true;
        s->info.si_signo = signo;
        report_event(s, PTRACE_EVENT_EXIT, (unsigned long)signo);
        return AGAIN;
    }
    process_kill_locked(t->process, signo, true);
    return SYS_PARKED;
}

static bool is_fatal_default(const struct process *p, int signo)
{
    return !(SIGBIT(signo) & (SIGSET_STOP | SIGSET_IGNORE)) &&
           p->sighand->action[signo - 1].handler == (uint64_t)(uintptr_t)SIG_DFL;
}

/* [T] s->info is delivered: AGAIN, SYS_PARKED, or 1 where its handler runs. */
static long deliver(struct stop *s)
{
    struct task *t = s->parked.task;
    struct process *p = t->process;
    int signo = s->info.si_signo;

    if (signal_is_dropped(t, signo))
        return AGAIN;
    if (is_fatal_default(p, signo))
        return die(s, signo);
    if (p->sighand->action[signo - 1].handler == (uint64_t)(uintptr_t)SIG_DFL) {
        signal_act_default(p, signo);
        return AGAIN;
    }
    signal_handle(t, &s->info, &s->gs);
    return 1;
}

/* [T] The tracer has let it go on from where it stood. */
static long go_on(struct stop *s)
{
    struct task *t = s->parked.task;
    enum stop_at at = s->at;
    int signo = s->signo;

    s->at = AT_NOTHING;
    s->signo = 0;
    if (s->why == GATE_STOP_ENDS && s->told && s->info.si_signo)
        return die(s, s->info.si_signo);
    if (!signo || (at != AT_SIGNAL && at != AT_CALL))
        return AGAIN;
    siginfo_t info = {.si_signo = signo, .si_code = at == AT_CALL ? SI_KERNEL : SI_USER};
    if (at == AT_SIGNAL && t->trace && t->trace->info.si_signo == signo)
        info = t->trace->info;
    else if (at == AT_SIGNAL && s->info.si_signo == signo)
        info = s->info;
    else if (at == AT_SIGNAL && t->trace)
        info.si_pid = t->trace->tracer->pid;
    if (at == AT_CALL || (task_mask(t) & SIGBIT(signo))) {
        (void)send_signal_task(t, &info, false);
        return AGAIN;
    }
    s->info = info;
    return deliver(s);
}

/* [T] Nobody traces it (any more). */
static long untraced(struct stop *s)
{
    struct task *t = s->parked.task;

    if (s->why == GATE_STOP_ENTER) {
        let_pass(s);
        return (long long)s->regs.orig_rax < 0 ? GATE_STOP_SKIP : 0;
    }
    if (s->why == GATE_STOP_ENDS)
        return 0;
    if (s->why == GATE_STOP_VFORK)
        return waits_for_child(s) ? SYS_PARKED : 0;
    if (t->process->stopped && t->process->soft_stop)
        return SYS_PARKED;
    if (!signal_next_handled(t, &s->info))
        return t->process->stopped && t->process->soft_stop ? SYS_PARKED : 0;
    return deliver(s);
}

static long look_once(struct stop *s)
{
    struct task *t = s->parked.task;
    struct trace *tr = t->trace;

    if (t->process->group_exit || (atomic_load(&t->life) & TASK_DYING))
        return SYS_PARKED;
    if (tr && tr->state != TRACE_RUNS)
        return SYS_PARKED;
    if (s->at != AT_NOTHING)
        return go_on(s);
    if (!tr)
        return untraced(s);
    if (next_stop(s))
        return SYS_PARKED;
    if (s->why == GATE_STOP_ENTER) {
        tr->in_call = tr->mode != TRACE_CONT;
        let_pass(s);
        return (long long)s->regs.orig_rax < 0 ? GATE_STOP_SKIP : 0;
    }
    return 0;
}

static long look(struct parked *p)
{
    long r;

    do
        r = look_once((struct stop *)p);
    while (r == AGAIN);
    return r;
}

static uint32_t flags_of(const struct trace *tr)
{
    bool ends = tr && (tr->options & PTRACE_O_TRACEEXIT);
    bool calls = tr && (tr->mode == TRACE_CALLS ||
                        ((tr->options & PTRACE_O_TRACESECCOMP) && seccomp_count(tr->task) > 0));

    if (!tr || (tr->mode == TRACE_CONT && !ends && !calls))
        return 0;
    return GATE_TRACE_ON | (calls ? GATE_TRACE_CALLS : 0) | (tr->mode == TRACE_STEP ? GATE_TRACE_STEP : 0) |
           (ends ? GATE_TRACE_ENDS : 0);
}

/* [T] What the gate gets to see. */
static void compose(struct stop *s, const struct sysargs *a, long r)
{
    struct task *t = s->parked.task;
    struct trace *tr = t->trace;
    struct user_regs_struct *regs = &s->regs;

    if (s->why == GATE_STOP_ENTER) {
        if (r == 0)
            regs->rax = regs->orig_rax;
    } else if (s->why != GATE_STOP_VFORK) {
        stop_restart(regs, r == 1, s->gs.flags);
        t->again.ours = t->again.nr && !t->again.whole && regs->rax == SYS_restart_syscall;
        t->restart = 0;
        t->continued = false;
        if (t->restore_mask && r != 1)
            signal_mask_back(t);
    }
    if (tr) {
        tr->forced_tf = tr->mode == TRACE_STEP && !(regs->eflags & FLAG_TF) && r == 0 &&
                        s->why != GATE_STOP_ENTER && s->why != GATE_STOP_VFORK;
        if (tr->forced_tf)
            regs->eflags |= FLAG_TF;
        if (trace_is_due(t))
            signal_kick(t);
    }
    stop_put_registers(s);
    s->gs.trace = flags_of(tr);
    t->gate_traced = s->gs.trace != 0;
    if (regs->fs_base != a->arg[4])
        s->gs.trace |= GATE_TRACE_FS;
    s->gs.fs_base = regs->fs_base;
}

static long finish(struct parked *p, long r)
{
    struct stop *s = (struct stop *)p;
    struct task *t = p->task;
    bool steps;

    {
        LOCKED(&kernel.tasklist_lock);
        compose(s, &p->a, r);
        steps = t->trace && t->trace->mode == TRACE_STEP;
    }
    if (steps && r == 0) /* where a patched site begins, its jump is no step of the program's */
        (void)poke_sites_back(t, s->regs.rip, 1);
    s->gs.deliver = r == 1;
    const struct user_copy parts[3] = {
        {s->context + offsetof(ucontext_t, uc_mcontext.gregs), &s->gregs, (REG_EFL + 1) * sizeof(greg_t)},
        {s->buf, &s->gs, sizeof(s->gs)},
        {t->slot + offsetof(struct gate_slot, blocked), &t->blocked, sizeof(t->blocked)},
    };
    if (copy_all_to_user(t, parts, t->mask_in_slot && r == 1 ? 3 : 2) < 0) {
        if (notif_is_pending(&p->a))
            process_exit(t->process, SIGSEGV, true);
        return -EFAULT;
    }
    if (r == 1)
        atomic_store(&t->mask_held, false);
    return r;
}

long gate_stop(struct task *t, const struct sysargs *a)
{
    struct stop *s = calloc(1, sizeof(*s));
    long r;

    if (!s)
        return 0;
    if (t->ended_by) {
        free(s);
        return GATE_SIGNAL_END;
    }
    s->parked = (struct parked){.look = look, .end = finish, .deaf = true, .task = t, .a = *a};
    s->buf = a->arg[0];
    s->context = a->arg[1];
    s->why = a->arg[2] & 0xff;
    s->nr = a->arg[3];
    {
        LOCKED(&kernel.tasklist_lock);
        t->signal_buf = s->buf;
        if (stop_take_registers(t, s, a) == 0) {
            r = look(&s->parked);
            if (r == SYS_PARKED && !t->process->group_exit)
                return task_park(t, a, &s->parked);
        } else {
            r = -EFAULT;
        }
    }
    if (r >= 0)
        r = finish(&s->parked, r);
    free(s);
    return r == SYS_PARKED ? -EINTR : r;
}
