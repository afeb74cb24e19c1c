/* Signals that a process sends to itself: its gate delivers them without asking, if it knows the action
 * (sandbox/gate/self.c). A process is told its actions when a site that sends such signals is patched, and
 * from then on whenever one changes. */
#include <stddef.h>
#include <sys/syscall.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/seccomp/seccomp.h"
#include "sandbox/keep/signal/sigmask.h"
#include "sandbox/keep/task/task.h"

#define ACTIONS_AT (GATE_SHARED + offsetof(struct gate_shared, actions))
#define SA_RESETHAND_ 0x80000000UL

_Static_assert(GATE_ACTIONS == KSIG_MAX && sizeof(struct gate_action) == sizeof(struct ksigaction), "abi.h");

bool fast_sends_to_itself(const struct task *t, const struct sysargs *a)
{
    pid_t pid = t->process->pid, first = (pid_t)a->arg[0];

    switch (a->nr) {
    case SYS_kill:
        return first == pid && (int)a->arg[1] > 0;
    case SYS_tkill:
        return first == t->tid && (int)a->arg[1] > 0;
    case SYS_tgkill:
        return first == pid && (pid_t)a->arg[1] == t->tid && (int)a->arg[2] > 0;
    default:
        return false;
    }
}

bool fast_may_send(const struct task *t)
{
    return seccomp_always_allows(t, SYS_kill) && seccomp_always_allows(t, SYS_tkill) &&
           seccomp_always_allows(t, SYS_tgkill);
}

/* [T] Zeroes where there is no handler, or more happens than that it runs. Who shares the memory may have
 * other actions, or share these. */
static struct gate_action action_of(const struct process *p, int signo)
{
    const struct ksigaction *sa = &p->sighand->action[signo - 1];

    if (sa->handler <= (uint64_t)(uintptr_t)SIG_IGN || (sa->flags & SA_RESETHAND_) ||
        (SIGBIT(signo) & (SIGSET_STOP | SIGBIT(SIGCONT))) || atomic_load(&p->sighand->refs) > 1 ||
        atomic_load(&p->mm->refs) > 1)
        return (struct gate_action){0};
    return (struct gate_action){sa->handler, sa->flags, sa->restorer, sa->mask};
}

void fast_actions_tell(struct task *t)
{
    struct gate_action all[GATE_ACTIONS];

    for (int signo = 1; signo <= GATE_ACTIONS; signo++)
        all[signo - 1] = action_of(t->process, signo);
    t->process->mm->actions_told = true;
    t->process->mm->actions_unset = false;
    (void)copy_to_user(t, ACTIONS_AT, all, sizeof(all));
}

void fast_action_changed(struct task *t, int signo)
{
    const struct mm *mm = t->process->mm;

    if (!mm || !mm->actions_told)
        return;
    struct gate_action one = action_of(t->process, signo);
    (void)copy_to_user(t, ACTIONS_AT + (size_t)(signo - 1) * sizeof(one), &one, sizeof(one));
}

void fast_found(struct task *t)
{
    static const struct gate_lanes none;
    struct mm *mm = t->process->mm;

    if (!t->slot || !mm)
        return;
    if (mm->lanes_unset) {
        mm->lanes_unset = false;
        (void)copy_to_user(t, GATE_SHARED + offsetof(struct gate_shared, lanes), &none, sizeof(none));
    }
    fast_ids_changed(t);
    sigmask_again(t);
}
