/* ptrace(2): the requests. Who may trace whom is as ptrace(2) says under "access mode checking"; the stops
 * are made in trace_stop.c. */
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/elf.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/signal/sigmask.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/pidfd.h"
#include "sandbox/keep/task/quiet.h"
#include "sandbox/keep/trace/trace.h"

#define PTRACE_ARCH_PRCTL_ 30
#define OPTIONS                                                                                              \
    (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |                \
     PTRACE_O_TRACEEXEC | PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXIT | PTRACE_O_TRACESECCOMP |             \
     PTRACE_O_EXITKILL)
#define DEBUG_REGISTERS offsetof(struct user, u_debugreg)

/* Beginning ------------------------------------------------------------------------------------------------
 */

static long trace_me(struct task *t)
{
    LOCKED(&kernel.tasklist_lock);
    struct process *parent = t->process->parent;
    if (!parent || parent->state != PROCESS_ALIVE || parent->container != t->process->container)
        return -EPERM;
    bool able = capable(parent->leader, CAP_SYS_PTRACE);
    if (!able && (t->cred->cap_permitted & ~parent->leader->cred->cap_permitted))
        return -EPERM;
    int r = trace_begin(parent, t, false, able, 0);
    if (r == 0)
        signal_kick(t);
    return r;
}

/* [T] The thread that tid names, if t may trace it. A program that is only about to enter the container is
 * nobody's to see, and other containers of a pod trace their own. */
static struct task *victim(struct task *t, pid_t tid, int *err)
{
    struct task *o = task_by_tid(t->process->container->pids, tid);
    *err = -ESRCH;
    if (!o || o->exited || o->process->state != PROCESS_ALIVE || o->process->group_exit)
        return NULL;
    *err = -EPERM;
    bool enters = o->process->session && !o->process->did_exec;
    bool ours = o->process->container == t->process->container;
    if (o->process == t->process || enters || !ours || !o->process->mm || o->trace || !may_look_into(t, o))
        return NULL;
    return o;
}

static long attach(struct task *t, const struct sysargs *a, bool seize)
{
    int err;
    if (seize && (a->arg[2] || (a->arg[3] & ~(uint64_t)OPTIONS)))
        return -EIO;
    LOCKED(&kernel.tasklist_lock);
    struct task *o = victim(t, (pid_t)a->arg[1], &err);
    if (!o)
        return err;
    err = trace_begin(t->process, o, seize, capable(t, CAP_SYS_PTRACE), seize ? (unsigned)a->arg[3] : 0);
    if (err)
        return err;
    trace_soften_stop(o->process);
    if (!seize)
        (void)send_signal_task(o, &(siginfo_t){.si_signo = SIGSTOP, .si_code = SI_KERNEL}, true);
    signal_kick(o);
    return 0;
}

/* Looking --------------------------------------------------------------------------------------------------
 */

/* [T] t's tracee, in a ptrace-stop where that is asked for; NULL: ESRCH. */
static struct trace *tracee(struct task *t, pid_t tid, bool stopped)
{
    struct trace *tr;
    DL_FOREACH(t->process->tracees, tr)
    {
        if (tr->tid != tid || !tr->task)
            continue;
        return !stopped || (tr->state == TRACE_STOPPED && stop_regs(tr->task)) ? tr : NULL;
    }
    return NULL;
}

/* Its task, with a reference, and where its floating point state is. */
static struct task *stopped_task(struct task *t, pid_t tid, uaddr_t *fpstate)
{
    LOCKED(&kernel.tasklist_lock);
    struct trace *tr = tracee(t, tid, true);
    if (!tr)
        return NULL;
    if (fpstate)
        *fpstate = stop_fpstate(tr->task);
    return task_get(tr->task);
}

static bool stopped_task_is(struct task *t, pid_t tid)
{
    LOCKED(&kernel.tasklist_lock);
    return tracee(t, tid, true);
}

static void task_put_p(struct task **t)
{
    if (*t)
        task_put(*t);
}
#define _cleanup_task_ _cleanup_(task_put_p)

/* What has become of the program since may be none of the tracer's business. */
static bool may_see_memory(struct task *t, const struct task *who)
{
    LOCKED(&kernel.tasklist_lock);
    const struct trace *tr = who->trace;
    const struct mm *mm = who->process->mm;
    return mm && tr && tr->tracer == t->process &&
           (mm->dumpable || tr->capable || capable(t, CAP_SYS_PTRACE));
}

static long peek(struct task *t, const struct sysargs *a)
{
    uint64_t word;
    _cleanup_task_ struct task *who = stopped_task(t, (pid_t)a->arg[1], NULL);
    if (!who)
        return -ESRCH;
    if (!may_see_memory(t, who) || get_user(who, &word, a->arg[2]) < 0)
        return -EIO;
    sites_show_original(who, a->arg[2], (char *)&word, sizeof(word));
    return put_user(t, word, uint64_t, a->arg[3]);
}

static long poke(struct task *t, const struct sysargs *a)
{
    uint64_t word = a->arg[3];
    _cleanup_task_ struct task *who = stopped_task(t, (pid_t)a->arg[1], NULL);
    if (!who)
        return -ESRCH;
    return may_see_memory(t, who) ? poke_memory(who, a->arg[2], &word, sizeof(word)) : -EIO;
}

/* Registers ------------------------------------------------------------------------------------------------
 */

static bool is_debug_register(uint64_t off)
{
    return off >= DEBUG_REGISTERS && off < DEBUG_REGISTERS + sizeof(((struct user *)0)->u_debugreg);
}

static long peek_user(struct task *t, const struct sysargs *a)
{
    uint64_t off = a->arg[2], word = 0;
    if (off % 8 || off >= sizeof(struct user))
        return -EIO;
    {
        LOCKED(&kernel.tasklist_lock);
        const struct trace *tr = tracee(t, (pid_t)a->arg[1], true);
        if (!tr)
            return -ESRCH;
        if (off < sizeof(struct user_regs_struct))
            word = ((const unsigned long long *)stop_regs(tr->task))[off / 8];
    }
    return put_user(t, word, uint64_t, a->arg[3]);
}

static long poke_user(struct task *t, const struct sysargs *a)
{
    uint64_t off = a->arg[2];
    if (off % 8 || off >= sizeof(struct user))
        return -EIO;
    LOCKED(&kernel.tasklist_lock);
    const struct trace *tr = tracee(t, (pid_t)a->arg[1], true);
    if (!tr)
        return -ESRCH;
    if (is_debug_register(off))
        return a->arg[3] ? -EIO : 0;
    return off < sizeof(struct user_regs_struct)
               ? trace_set_reg(stop_regs(tr->task), (unsigned)(off / 8), a->arg[3])
               : -EIO;
}

static long get_regs(struct task *t, pid_t tid, struct user_regs_struct *r)
{
    LOCKED(&kernel.tasklist_lock);
    const struct trace *tr = tracee(t, tid, true);
    if (!tr)
        return -ESRCH;
    *r = *stop_regs(tr->task);
    return 0;
}

/* The first n bytes of r: all that are good, up to the first that is not. */
static long set_regs(struct task *t, pid_t tid, const struct user_regs_struct *r, size_t n)
{
    LOCKED(&kernel.tasklist_lock);
    const struct trace *tr = tracee(t, tid, true);
    int err = 0;
    if (!tr)
        return -ESRCH;
    for (unsigned i = 0; i < n / 8 && err == 0; i++)
        err = trace_set_reg(stop_regs(tr->task), i, ((const unsigned long long *)r)[i]);
    return err;
}

static long general_regs(struct task *t, pid_t tid, uaddr_t buf, size_t *n, bool set)
{
    struct user_regs_struct r;
    if (*n > sizeof(r))
        *n = sizeof(r);
    if (!set) {
        long err = get_regs(t, tid, &r);
        return err ? err : copy_to_user(t, buf, &r, *n);
    }
    return copy_from_user(t, &r, buf, *n) < 0 ? -EFAULT : set_regs(t, tid, &r, *n);
}

static long float_regs(struct task *t, pid_t tid, uaddr_t buf, size_t *n, bool set, bool whole)
{
    unsigned char state[TRACE_XSTATE_MAX];
    uaddr_t at;
    _cleanup_task_ struct task *who = stopped_task(t, tid, &at);
    if (!who)
        return -ESRCH;
    if (*n > sizeof(state))
        *n = sizeof(state);
    if (set)
        return copy_from_user(t, state, buf, *n) < 0 ? -EFAULT : trace_set_xstate(who, at, state, *n, whole);
    long have = trace_get_xstate(who, at, state, whole);
    if (have < 0)
        return have;
    if (*n > (size_t)have)
        *n = (size_t)have;
    return copy_to_user(t, buf, state, *n);
}

static long regset(struct task *t, const struct sysargs *a, bool set)
{
    struct iovec iov;
    pid_t tid = (pid_t)a->arg[1];
    long r = -EINVAL;
    if (get_user(t, &iov, a->arg[3]) < 0)
        return -EFAULT;
    uaddr_t buf = (uaddr_t)(uintptr_t)iov.iov_base;
    if (a->arg[2] == NT_PRSTATUS && iov.iov_len % 8 == 0)
        r = general_regs(t, tid, buf, &iov.iov_len, set);
    else if ((a->arg[2] == NT_PRFPREG || a->arg[2] == NT_X86_XSTATE) && iov.iov_len % 8 == 0)
        r = float_regs(t, tid, buf, &iov.iov_len, set, a->arg[2] == NT_X86_XSTATE);
    if (r < 0)
        return r;
    return put_user(t, iov.iov_len, uint64_t, a->arg[3] + offsetof(struct iovec, iov_len));
}

static long arch_prctl(struct task *t, const struct sysargs *a)
{
    struct user_regs_struct r;
    const unsigned fs = offsetof(struct user_regs_struct, fs_base) / 8;
    long err = get_regs(t, (pid_t)a->arg[1], &r);
    if (err)
        return err;
    switch (a->arg[3]) {
    case 0x1003: /* ARCH_GET_FS, ARCH_GET_GS */
        return put_user(t, r.fs_base, uint64_t, a->arg[2]);
    case 0x1004:
        return put_user(t, r.gs_base, uint64_t, a->arg[2]);
    case 0x1002: /* ARCH_SET_FS */
        if (trace_set_reg(&r, fs, a->arg[2]) < 0)
            return -EPERM;
        return set_regs(t, (pid_t)a->arg[1], &r, sizeof(r));
    default:
        return -EINVAL;
    }
}

/* Stops ----------------------------------------------------------------------------------------------------
 */

static long get_siginfo(struct task *t, const struct sysargs *a)
{
    siginfo_t info;
    {
        LOCKED(&kernel.tasklist_lock);
        const struct trace *tr = tracee(t, (pid_t)a->arg[1], true);
        if (!tr)
            return -ESRCH;
        if (!tr->has_info)
            return -EINVAL;
        info = tr->info;
    }
    return copy_to_user(t, a->arg[3], &info, sizeof(info));
}

static long set_siginfo(struct task *t, const struct sysargs *a)
{
    siginfo_t info;
    if (copy_from_user(t, &info, a->arg[3], sizeof(info)) < 0)
        return -EFAULT;
    LOCKED(&kernel.tasklist_lock);
    struct trace *tr = tracee(t, (pid_t)a->arg[1], true);
    if (!tr)
        return -ESRCH;
    if (!tr->has_info)
        return -EINVAL;
    tr->info = info;
    return 0;
}

static long mask(struct task *t, const struct sysargs *a, bool set)
{
    sigset64 m = 0;
    if (a->arg[2] != sizeof(m))
        return -EINVAL;
    if (set && get_user(t, &m, a->arg[3]) < 0)
        return -EFAULT;
    {
        LOCKED(&kernel.tasklist_lock);
        struct trace *tr = tracee(t, (pid_t)a->arg[1], true);
        if (!tr)
            return -ESRCH;
        struct task *o = tr->task;
        if (set && o->restore_mask)
            o->saved_mask = m & ~SIGSET_UNBLOCKABLE;
        else if (set)
            task_mask_set(o, m);
        else
            m = o->restore_mask ? o->saved_mask : task_mask(o);
    }
    return set ? 0 : put_user(t, m, sigset64, a->arg[3]);
}

static long event_message(struct task *t, const struct sysargs *a)
{
    unsigned long m;
    {
        LOCKED(&kernel.tasklist_lock);
        const struct trace *tr = tracee(t, (pid_t)a->arg[1], true);
        if (!tr)
            return -ESRCH;
        m = tr->message;
    }
    return put_user(t, m, uint64_t, a->arg[3]);
}

static long syscall_info(struct task *t, const struct sysargs *a)
{
    struct __ptrace_syscall_info i = {.arch = AUDIT_ARCH_X86_64};
    struct user_regs_struct r;
    size_t have = offsetof(struct __ptrace_syscall_info, entry), n = a->arg[2];
    {
        LOCKED(&kernel.tasklist_lock);
        const struct trace *tr = tracee(t, (pid_t)a->arg[1], true);
        if (!tr)
            return -ESRCH;
        r = *stop_regs(tr->task);
        i.op = tr->call_op;
        i.seccomp.ret_data = (uint32_t)tr->message;
    }
    i.instruction_pointer = r.rip;
    i.stack_pointer = r.rsp;
    if (i.op == PTRACE_SYSCALL_INFO_ENTRY || i.op == PTRACE_SYSCALL_INFO_SECCOMP) { /* which begins alike */
        i.entry.nr = r.orig_rax;
        memcpy(i.entry.args, (uint64_t[]){r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9}, sizeof(i.entry.args));
        have = offsetof(struct __ptrace_syscall_info, entry) + sizeof(i.entry);
        if (i.op == PTRACE_SYSCALL_INFO_SECCOMP)
            have = offsetof(struct __ptrace_syscall_info, seccomp.ret_data) + sizeof(i.seccomp.ret_data);
    } else if (i.op == PTRACE_SYSCALL_INFO_EXIT) {
        i.exit.rval = (int64_t)r.rax;
        i.exit.is_error = r.rax >= (uint64_t)-4095;
        have = offsetof(struct __ptrace_syscall_info, exit.is_error) + sizeof(i.exit.is_error);
    }
    if (n > have)
        n = have;
    return copy_to_user(t, a->arg[3], &i, n) < 0 ? -EFAULT : (long)have;
}

/* Going on -------------------------------------------------------------------------------------------------
 */

/* [T] What is done to a tracee, by the request's last argument. */
typedef long (*tracee_fn)(struct trace *tr, uint64_t arg);

static long with_tracee(struct task *t, const struct sysargs *a, bool stopped, tracee_fn fn)
{
    LOCKED(&kernel.tasklist_lock);
    struct trace *tr = tracee(t, (pid_t)a->arg[1], stopped);
    return tr ? fn(tr, a->arg[3]) : -ESRCH;
}

static long resume(struct trace *tr, enum trace_mode mode, uint64_t signo)
{
    if (signo > KSIG_MAX)
        return -EIO;
    trace_resume(tr, mode, (int)signo);
    return 0;
}

static long go_on(struct trace *tr, uint64_t signo)
{
    return resume(tr, TRACE_CONT, signo);
}

static long to_call(struct trace *tr, uint64_t signo)
{
    return resume(tr, TRACE_CALLS, signo);
}

static long step(struct trace *tr, uint64_t signo)
{
    return resume(tr, TRACE_STEP, signo);
}

static long detach(struct trace *tr, uint64_t signo)
{
    if (signo > KSIG_MAX)
        return -EIO;
    trace_detach(tr, (int)signo);
    return 0;
}

static long set_options(struct trace *tr, uint64_t options)
{
    if (options & ~(uint64_t)OPTIONS)
        return -EINVAL;
    tr->options = (unsigned)options;
    return 0;
}

static long interrupt(struct trace *tr, uint64_t unused)
{
    (void)unused;
    if (!tr->seized)
        return -EIO;
    trace_interrupt(tr);
    return 0;
}

static long listen(struct trace *tr, uint64_t unused)
{
    (void)unused;
    if (!tr->seized || tr->code >> 8 != PTRACE_EVENT_STOP)
        return -EIO;
    tr->state = TRACE_LISTENS;
    if (!tr->task->process->stopped) /* what it was to listen for has come already */
        trace_interrupt(tr);
    return 0;
}

static long end(struct trace *tr, uint64_t unused)
{
    (void)unused;
    process_kill_locked(tr->task->process, SIGKILL, true);
    return 0;
}

/* What has the tracee go on, stop or end. */
static long direct(struct task *t, const struct sysargs *a)
{
    switch (a->arg[0]) {
    case PTRACE_CONT:
        return with_tracee(t, a, true, go_on);
    case PTRACE_SYSCALL:
        return with_tracee(t, a, true, to_call);
    case PTRACE_SINGLESTEP:
        return with_tracee(t, a, true, step);
    case PTRACE_DETACH:
        return with_tracee(t, a, true, detach);
    case PTRACE_INTERRUPT:
        return with_tracee(t, a, false, interrupt);
    case PTRACE_LISTEN:
        return with_tracee(t, a, true, listen);
    case PTRACE_KILL:
        return with_tracee(t, a, false, end);
    default:
        return stopped_task_is(t, (pid_t)a->arg[1]) ? -EIO : -ESRCH;
    }
}

long sys_ptrace(struct task *t, const struct sysargs *a)
{
    /* Threads beside a traced one are to be held while text is changed (hold.c). */
    quiet_await_beside(t, a->arg[0] == PTRACE_TRACEME ? t->tid : (pid_t)a->arg[1]);
    switch (a->arg[0]) {
    case PTRACE_TRACEME:
        return trace_me(t);
    case PTRACE_ATTACH:
    case PTRACE_SEIZE:
        return attach(t, a, a->arg[0] == PTRACE_SEIZE);
    case PTRACE_PEEKTEXT:
    case PTRACE_PEEKDATA:
        return peek(t, a);
    case PTRACE_POKETEXT:
    case PTRACE_POKEDATA:
        return poke(t, a);
    case PTRACE_PEEKUSER:
        return peek_user(t, a);
    case PTRACE_POKEUSER:
        return poke_user(t, a);
    case PTRACE_GETREGS:
    case PTRACE_SETREGS:
        return general_regs(t, (pid_t)a->arg[1], a->arg[3], &(size_t){sizeof(struct user_regs_struct)},
                            a->arg[0] == PTRACE_SETREGS);
    case PTRACE_GETFPREGS:
    case PTRACE_SETFPREGS:
        return float_regs(t, (pid_t)a->arg[1], a->arg[3], &(size_t){sizeof(struct user_fpregs_struct)},
                          a->arg[0] == PTRACE_SETFPREGS, false);
    case PTRACE_GETREGSET:
    case PTRACE_SETREGSET:
        return regset(t, a, a->arg[0] == PTRACE_SETREGSET);
    case PTRACE_ARCH_PRCTL_:
        return arch_prctl(t, a);
    case PTRACE_GETSIGINFO:
        return get_siginfo(t, a);
    case PTRACE_SETSIGINFO:
        return set_siginfo(t, a);
    case PTRACE_GETSIGMASK:
    case PTRACE_SETSIGMASK:
        return mask(t, a, a->arg[0] == PTRACE_SETSIGMASK);
    case PTRACE_GETEVENTMSG:
        return event_message(t, a);
    case PTRACE_GET_SYSCALL_INFO:
        return syscall_info(t, a);
    case PTRACE_SETOPTIONS:
        return with_tracee(t, a, true, set_options);
    default:
        return direct(t, a);
    }
}
