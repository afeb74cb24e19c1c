/* Filters: judging. The container's profile is the oldest link of every chain; what guests install themselves
 * comes on top. */
#include "sandbox/keep/seccomp/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "sandbox/gate/abi.h"
#include "sandbox/keep/seccomp/bpf.h"
#include "sandbox/keep/klog.h"
#include "sandbox/keep/seccomp/seccomp_internal.h"
#include "sandbox/keep/seccomp/seccomp_notify.h"
#include "sandbox/keep/mm/uaccess.h"

unsigned seccomp_count(const struct task *t)
{
    const struct seccomp_filter *f = t->seccomp;
    return f ? f->count : 0;
}

/* Judging --------------------------------------------------------------------------------------------------
 */

/* Profiles are long lists of numbers, which need to be gone through but once for each. */
static const struct sock_filter *beginning(struct seccomp_filter *f, int nr)
{
    if (nr < 0 || nr >= SYSCALL_MAX)
        return f->insns;
    unsigned at = atomic_load_explicit(&f->start[nr], memory_order_relaxed);
    if (at == 0) {
        at = bpf_start(f->insns, f->len, nr) + 1;
        atomic_store_explicit(&f->start[nr], (unsigned short)at, memory_order_relaxed);
    }
    return f->insns + at - 1;
}

/* The strictest verdict of all; between equals the newest's data. *by: whose it is. */
static uint32_t verdict(struct seccomp_filter *f, const struct seccomp_data *data, struct seccomp_filter **by)
{
    uint32_t result = SECCOMP_RET_ALLOW;
    for (*by = f; f; f = f->prev) {
        uint32_t r = bpf_run(beginning(f, data->nr), data);
        if ((int32_t)(r & SECCOMP_RET_ACTION_FULL) < (int32_t)(result & SECCOMP_RET_ACTION_FULL)) {
            result = r;
            *by = f;
        }
    }
    return result;
}

/* Most calls are allowed whatever their arguments: found out once for each number. */
static bool always_allowed(struct seccomp_filter *f, int nr)
{
    if (nr < 0 || nr >= SYSCALL_MAX)
        return false;
    unsigned long bit = 1UL << (nr % 64);
    size_t word = (size_t)nr / 64;
    if (atomic_load_explicit(&f->known[word], memory_order_acquire) & bit)
        return atomic_load_explicit(&f->allowed[word], memory_order_relaxed) & bit;
    bool all = true;
    for (const struct seccomp_filter *i = f; i && all; i = i->prev)
        all = bpf_always_allows(i->insns, i->len, nr);
    if (all)
        atomic_fetch_or(&f->allowed[word], bit);
    atomic_fetch_or(&f->known[word], bit);
    return all;
}

bool seccomp_always_allows(const struct task *t, int nr)
{
    if (t->seccomp_mode == SECCOMP_MODE_STRICT)
        return false;
    return !t->seccomp || always_allowed(t->seccomp, nr);
}

/* Trapped calls that the gate passes on as they are, with their address in the sixth argument, which they do
 * not have. */
static bool is_passed_on(const struct sysargs *a)
{
    return from_gate(a) && (a->nr == SYS_rt_sigprocmask || a->nr == SYS_set_robust_list);
}

static long trap(struct task *t, const struct sysargs *a, const struct seccomp_data *d, int data)
{
    siginfo_t info = {.si_signo = SIGSYS, .si_code = 1 /* SYS_SECCOMP */, .si_errno = data};
    info.si_call_addr = (void *)(uintptr_t)d->instruction_pointer; /* opaque: the guest's */
    info.si_syscall = d->nr;
    info.si_arch = AUDIT_ARCH_X86_64;
    LOCKED(&kernel.tasklist_lock);
    force_signal(t, &info);
    signal_settle(t);
    /* The handler finds the number in rax, as the call was never made. */
    return seccomp_asked_by_gate(a) || is_passed_on(a) ? GATE_TRAPPED : d->nr;
}

/* The call's end, which is not told before its bracket's: else the guest's next call, perhaps its last, might
 * be served while this one is. */
static long answer_exactly(struct task *t, long result)
{
    t->exact = result;
    return SYS_EXACT;
}

/* What the guest's call returns. A gate would take a value for the answer to its own question. */
long seccomp_answer(struct task *t, const struct sysargs *a, long result)
{
    bool is_error = result < 0 && result >= -4095;
    if (!seccomp_asked_by_gate(a) || is_error)
        return answer_exactly(t, result);
    t->seccomp_value = result;
    return answer_exactly(t, GATE_ANSWERED);
}

long seccomp_value(struct task *t, const struct sysargs *a)
{
    (void)a;
    return t->seccomp_value;
}

static long kill_process(struct task *t)
{
    process_exit(t->process, SIGSYS, true);
    return SYS_NOANSWER;
}

/* Nobody sees the answer: the gate's leaving comes first. */
static long kill_thread(struct task *t, int signo)
{
    task_end_alone(t, signo);
    return answer_exactly(t, -EINTR);
}

/* As the kernel's audit record 1326: what kills and what is only logged always, the rest where asked for. */
static void log_verdict(const struct task *t, struct seccomp_filter *by, const struct seccomp_data *d,
                        uint32_t v)
{
    uint32_t action = v & SECCOMP_RET_ACTION_FULL;
    bool kills = action == SECCOMP_RET_KILL_PROCESS || action == SECCOMP_RET_KILL_THREAD;
    if (!kills && action != SECCOMP_RET_LOG && !by->log)
        return;
    klog_printf(
        5,
        "audit: type=1326 pid=%d comm=\"%.15s\" sig=%d arch=c000003e syscall=%d compat=0 ip=0x%llx code=0x%x",
        t->process->pid, t->comm, kills ? SIGSYS : 0, d->nr, d->instruction_pointer, action);
    if (!by->is_profile || d->nr < 0 || d->nr >= SYSCALL_MAX)
        return;
    unsigned long bit = 1UL << (d->nr % 64);
    if (atomic_fetch_or(&by->said[d->nr / 64], bit) & bit)
        return;
    const char *name = syscall_table[d->nr].name;
    log_warning("seccomp: %s of pid %d: system call %d (%s), further ones are not told",
                kills ? "end" : "call", t->process->pid, d->nr, name ? name : "unknown");
}

static long notify(struct task *t, const struct seccomp_filter *by, const struct sysargs *a,
                   const struct seccomp_data *d)
{
    long result = -ENOSYS;
    if (by->standin_fd < 0)
        return seccomp_notify(t, by, a, d);
    int r = seccomp_standin(t, by, a, d, &result);
    if (r == 1)
        return 0;
    if (r < 0)
        return r;
    return seccomp_answer(t, a, result);
}

uint32_t seccomp_verdict(const struct task *t, const struct seccomp_data *d)
{
    struct seccomp_filter *by;

    return t->seccomp_mode == SECCOMP_MODE_FILTER ? verdict(t->seccomp, d, &by) : SECCOMP_RET_ALLOW;
}

/* The tracer has let this very call go on (trace_stop.c). What the gate asks in its own words has the first
 * argument in common with what its guest has called. */
static bool was_shown(struct task *t, const struct sysargs *a, const struct seccomp_data *d)
{
    bool gates = seccomp_asked_by_gate(a) || is_passed_on(a);
    LOCKED(&kernel.tasklist_lock);
    bool shown = t->shown.is && t->shown.nr == d->nr;
    for (int i = 0; i < (gates ? 1 : 6); i++)
        shown = shown && t->shown.arg[i] == d->args[i];
    t->shown.is = false;
    return shown;
}

static long carry_out(struct task *t, const struct sysargs *a, const struct seccomp_filter *by,
                      const struct seccomp_data *d, uint32_t v)
{
    int data = (int)(v & SECCOMP_RET_DATA);
    switch (v & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
        return 0;
    case SECCOMP_RET_ERRNO:
        return seccomp_answer(t, a, -(data > 4095 ? 4095 : data));
    case SECCOMP_RET_TRAP:
        return answer_exactly(t, trap(t, a, d, data));
    case SECCOMP_RET_TRACE:
        return was_shown(t, a, d) ? 0 : -ENOSYS;
    case SECCOMP_RET_USER_NOTIF:
        return notify(t, by, a, d);
    case SECCOMP_RET_KILL_THREAD:
        return kill_thread(t, SIGSYS);
    default:
        return kill_process(t);
    }
}

static bool strict_allows(int nr)
{
    return nr == SYS_read || nr == SYS_write || nr == SYS_exit || nr == SYS_rt_sigreturn;
}

/* A gate says which of several calls the guest made. One that lies may do no more than it could by that call.
 */
static void clone_as_called(const struct sysargs *a, struct seccomp_data *d)
{
    unsigned long flags = a->arg[0] >> 32, call = a->arg[5] & GATE_CLONE_CALL;
    d->nr = SYS_clone;
    if (call == GATE_CALLED_FORK && flags == SIGCHLD)
        d->nr = SYS_fork;
    if (call == GATE_CALLED_VFORK && flags == (CLONE_VM | CLONE_VFORK | SIGCHLD))
        d->nr = SYS_vfork;
    d->args[0] = flags;
    d->args[1] = d->args[5] = 0;
}

/* Where the call stood, and what the gate has put aside, are in memory: few filters look at them. */
static void clone_as_called_exactly(struct task *t, const struct sysargs *a, struct seccomp_data *d)
{
    struct gate_clone c = {0};
    (void)get_user(t, &c, gate_clone_at(a->arg[5]));
    d->instruction_pointer = c.ip;
    d->args[1] = c.stack;
    d->args[4] = c.tls;
}

static void exec_as_called(const struct sysargs *a, struct seccomp_data *d)
{
    d->nr = SYS_execveat;
    if (!(a->arg[5] & GATE_EXEC_PLAIN) || (int)a->arg[0] != AT_FDCWD || a->arg[4] != 0)
        return;
    d->nr = SYS_execve;
    memmove(d->args, d->args + 1, 3 * sizeof(d->args[0]));
    d->args[3] = 0;
}

/* What the guest called, where the gate asks on its behalf. */
static void as_called(struct task *t, const struct sysargs *a, struct seccomp_data *d)
{
    uint64_t ip = 0;

    if (a->ip == GATE_RING_IP || a->ip == GATE_TRACED_IP) {
        bool ring = a->ip == GATE_RING_IP;
        if (t->slot)
            (void)get_user(
                t, &ip, t->slot + (ring ? offsetof(struct gate_slot, ret) : offsetof(struct gate_slot, si)));
        d->instruction_pointer = ip;
    }
    if (clone_for_guest(a))
        clone_as_called(a, d);
    if (a->nr < GATE_CALL_BASE && !is_passed_on(a))
        return;
    d->instruction_pointer = a->arg[5] & ~GATE_EXEC_PLAIN;
    d->args[5] = 0;
    switch (a->nr) {
    case SYS_rt_sigprocmask:
    case SYS_set_robust_list:
        break;
    case GATE_EXEC:
        exec_as_called(a, d);
        break;
    case GATE_SHMAT:
        d->nr = SYS_shmat;
        d->args[3] = 0;
        break;
    case GATE_SHMDT:
        d->nr = SYS_shmdt;
        d->args[1] = 0;
        break;
    case GATE_AIO_SETUP:
        d->nr = SYS_io_setup;
        d->args[2] = 0;
        break;
    case GATE_AIO_DESTROY:
        d->nr = SYS_io_destroy;
        d->args[1] = 0;
        break;
    default:
        d->nr = a->nr - GATE_JUDGE_BASE;
    }
}

bool seccomp_covers(const struct sysargs *a)
{
    if (a->nr >= GATE_JUDGE_BASE)
        return true;
    if (a->nr >= GATE_CALL_BASE)
        return a->nr == GATE_EXEC || a->nr == GATE_SHMAT || a->nr == GATE_SHMDT || a->nr == GATE_AIO_SETUP ||
               a->nr == GATE_AIO_DESTROY;
    if (!from_gate(a))
        return true;
    switch (a->nr) { /* the second halves of those, and what the gate needs for itself */
    case SYS_execveat:
    case SYS_mmap:
    case SYS_mprotect:
    case SYS_close:
    case SYS_close_range:
    case SYS_exit:
    case SYS_seccomp:
        return false;
    default:
        return true;
    }
}

/* The chain of a task only grows while it lives, and t's own call is being served: f stays. */
static long judge(struct task *t, struct seccomp_filter *f, const struct sysargs *a)
{
    struct seccomp_data data = {.nr = a->nr, .arch = AUDIT_ARCH_X86_64, .instruction_pointer = a->ip};
    struct seccomp_filter *by;
    for (int i = 0; i < 6; i++)
        data.args[i] = a->arg[i];
    as_called(t, a, &data);
    if (always_allowed(f, data.nr))
        return 0;
    if (clone_for_guest(a))
        clone_as_called_exactly(t, a, &data);
    uint32_t v = verdict(f, &data, &by);
    if (v != SECCOMP_RET_ALLOW)
        log_verdict(t, by, &data, v);
    return carry_out(t, a, by, &data, v);
}

long seccomp_check(struct task *t, const struct sysargs *a)
{
    if (t->seccomp_mode == SECCOMP_MODE_STRICT)
        return strict_allows(a->nr < GATE_JUDGE_BASE ? a->nr : a->nr - GATE_JUDGE_BASE)
                   ? 0
                   : kill_thread(t, SIGKILL);
    struct seccomp_filter *f = t->seccomp;
    return f ? judge(t, f, a) : 0;
}
