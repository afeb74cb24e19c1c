/* Delivery: what the gate is told when it asks. */
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/lanes/mailbox.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/signal/signal_internal.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/trace/trace.h"
#include "sandbox/platform/listener.h"

/* [T] The next signal with a handler; carries out the default actions on its way there. 0: none. */
int signal_next_handled(struct task *t, siginfo_t *info)
{
    bool kicked = t->kicked;
    t->kicked = true; /* the gate is asking: no kick for what it is about to be told */
    signal_settle(t);
    t->kicked = kicked;
    const struct process *p = t->process;
    if (p->stopped || p->group_exit)
        return 0;
    return signal_dequeue(t, signal_deliverable(t), info);
}

/* [T] A call that the host runs. sa as for decide_restart. A sleep that was ended for nothing goes on. */
static void restart_continued(struct task *t, const struct ksigaction *sa, struct gate_signal *gs)
{
    /* The host makes them again, where it may, and the gate knows how a futex goes on. */
    bool waits =
        t->restart_nr == SYS_futex || (t->restart_nr == SYS_splice && sa && (sa->flags & SA_RESTART));
    bool sleeps = t->restart_nr == t->again.nr || t->restart_nr == SYS_restart_syscall;

    gs->restart = sa && !waits ? GATE_RESTART_EINTR : GATE_RESTART_NONE;
    if (sa || !sleeps || !t->again.nr)
        return;
    t->again.ours = !t->again.whole;
    gs->restart = GATE_RESTART_AGAIN;
    gs->at = t->ended_ip;
    gs->nr = (uint64_t)(t->again.whole ? t->again.nr : SYS_restart_syscall);
}

/* How the interrupted call goes on; sa: the handler that will run, or NULL. */
static enum gate_restart decide_restart(const struct task *t, const struct ksigaction *sa)
{
    switch (t->restart) {
    case 0:
        return GATE_RESTART_NONE;
    case ERESTARTNOINTR:
        return GATE_RESTART_AGAIN;
    case ERESTARTSYS:
        return !sa || (sa->flags & SA_RESTART) ? GATE_RESTART_AGAIN : GATE_RESTART_EINTR;
    default:
        return sa ? GATE_RESTART_EINTR : GATE_RESTART_AGAIN;
    }
}

/* [T] The mask while the handler runs. */
static void enter_handler(struct task *t, int signo, struct ksigaction *sa, struct gate_signal *gs)
{
    gs->old_mask = t->restore_mask ? t->saved_mask : t->blocked;
    t->restore_mask = false; /* but it is held until the gate's slot says so, too */
    sigset64 mask = t->blocked | sa->mask;
    if (!(sa->flags & SA_NODEFER))
        mask |= SIGBIT(signo);
    t->blocked = mask & ~SIGSET_UNBLOCKABLE;
    if (sa->flags & SA_RESETHAND)
        sa->handler = (uint64_t)(uintptr_t)SIG_DFL;
}

void signal_handle(struct task *t, const siginfo_t *info, struct gate_signal *gs)
{
    struct ksigaction *sa = &t->process->sighand->action[info->si_signo - 1];
    (void)task_mask(t);
    atomic_store(&t->mask_held, true);
    gs->deliver = 1;
    gs->signo = (uint32_t)info->si_signo;
    gs->handler = sa->handler;
    gs->flags = sa->flags;
    gs->restorer = sa->restorer;
    memcpy(gs->info, info, sizeof(gs->info));
    enter_handler(t, info->si_signo, sa, gs);
    signal_remark(t);
    signal_settle(t); /* more to deliver: the gate will be told again */
}

/* [T] */
static void fill(struct task *t, struct gate_signal *gs)
{
    siginfo_t info;
    (void)task_mask(t);
    atomic_store(&t->mask_held, true);
    int signo = signal_next_handled(t, &info);
    struct ksigaction *sa = signo ? &t->process->sighand->action[signo - 1] : NULL;
    gs->nr = (uint64_t)(t->restart == ERESTART_RESTARTBLOCK ? SYS_restart_syscall : t->restart_nr);
    if (t->continued && !t->restart)
        restart_continued(t, sa, gs);
    else if ((gs->restart = decide_restart(t, sa)) == GATE_RESTART_NONE)
        gs->at = t->ended_ip;
    t->restart = 0;
    t->continued = false;
    if (!sa) {
        if (t->restore_mask)
            signal_mask_back(t);
        else
            atomic_store(&t->mask_held, false);
        return;
    }
    signal_handle(t, &info, gs);
}

/* A thread that is gone, by its group's execve most likely, takes nobody with it. */
static long answer(struct task *t, const struct sysargs *a, uaddr_t buf, struct gate_signal *gs)
{
    const struct user_copy parts[2] = {
        {buf, gs, sizeof(*gs)},
        {t->slot + offsetof(struct gate_slot, blocked), &t->blocked, sizeof(t->blocked)},
    };

    if (copy_all_to_user(t, parts, t->mask_in_slot && gs->deliver ? 2 : 1) < 0) {
        if (notif_is_pending(a))
            process_exit(t->process, SIGSEGV, true);
        return -EFAULT;
    }
    if (gs->deliver)
        atomic_store(&t->mask_held, false);
    return gs->deliver;
}

/* [T] False: a tracer comes first. The gate is to come back with the registers, and then hears what there is.
 */
static bool fill_untraced(struct task *t, struct gate_signal *gs)
{
    gs->judge = t->judge_next;
    if (trace_wants_stop(t))
        return false;
    fill(t, gs);
    return true;
}

/* False: as fill_untraced. */
static bool compose(struct task *t, const struct sysargs *a, struct gate_signal *gs)
{
    {
        LOCKED(&kernel.tasklist_lock);
        t->kicked = false;
        if (!fill_untraced(t, gs))
            return false;
    }
    fast_take_patch(t, &gs->patch);
    if (t->wants_mailbox)
        gs->mailbox_fd = mailbox_lend(t, a);
    t->wants_mailbox = false;
    return true;
}

static long answer_or_stop(struct task *t, const struct sysargs *a, struct gate_signal *gs, bool stops)
{
    long r = answer(t, a, a->arg[0], gs);
    return stops && r >= 0 ? GATE_SIGNAL_STOP : r;
}

long gate_signal(struct task *t, const struct sysargs *a)
{
    struct gate_signal gs = {0};
    if (t->ended_by)
        return GATE_SIGNAL_END;
    t->signal_buf = a->arg[0];
    bool stops = !compose(t, a, &gs);
    return answer_or_stop(t, a, &gs, stops);
}

void signal_push(struct task *t, const struct sysargs *a)
{
    struct gate_signal gs = {.pushed = 1};
    bool kicked;
    {
        LOCKED(&kernel.tasklist_lock);
        kicked = t->kicked && !t->ended_by && t->signal_buf;
    }
    if (!kicked || from_gate(a) || !notif_is_pending(a))
        return;
    if (compose(t, a, &gs))
        (void)answer(t, a, t->signal_buf, &gs);
}

/* [T] What host limits and lanes raise comes natively, too, but is an ordinary signal. */
static void raise_fault(struct task *t, const siginfo_t *info)
{
    if (!(SIGBIT(info->si_signo) & SIGSET_SYNC)) {
        (void)send_signal_task(t, &(siginfo_t){.si_signo = info->si_signo, .si_code = SI_KERNEL}, false);
        return;
    }
    t->restart = 0;
    t->continued = false;
    force_signal(t, info);
}

long gate_fault(struct task *t, const struct sysargs *a)
{
    const sigset64 known = SIGSET_SYNC | SIGBIT(SIGXCPU) | SIGBIT(SIGXFSZ) | SIGBIT(SIGPIPE);
    struct gate_signal gs = {0};
    siginfo_t info;
    bool stops;
    if (copy_from_user(t, &info, a->arg[1], sizeof(info)) < 0)
        memset(&info, 0, sizeof(info));
    if (info.si_signo < 1 || info.si_signo > KSIG_MAX || !(SIGBIT(info.si_signo) & known))
        info = (siginfo_t){.si_signo = SIGSEGV, .si_code = SI_KERNEL};
    {
        LOCKED(&kernel.tasklist_lock);
        raise_fault(t, &info);
        stops = !fill_untraced(t, &gs);
    }
    return answer_or_stop(t, a, &gs, stops);
}

long gate_dies(struct task *t, const struct sysargs *a)
{
    process_exit(t->process, a->arg[0] == SIGBUS ? SIGBUS : SIGSEGV, true);
    return 0;
}

long gate_sigreturn(struct task *t, const struct sysargs *a)
{
    t->restart = 0;
    t->continued = false;
    set_blocked(t, a->arg[0]);
    return 0;
}

long gate_settle(struct task *t, const struct sysargs *a)
{
    (void)a;
    LOCKED(&kernel.tasklist_lock);
    signal_remark(t);
    signal_settle(t);
    return 0;
}
