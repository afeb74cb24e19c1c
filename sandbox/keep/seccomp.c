/* Guests' own filters: installing, inheriting, judging. A chain is immutable; each task holds its newest
 * link. */
#include "sandbox/keep/seccomp.h"

#include <linux/audit.h>
#include <linux/capability.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/bpf.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task_internal.h"
#include "sandbox/keep/uaccess.h"
#include "sandbox/platform/listener.h"

#define CHAIN_INSNS_MAX 32768U /* as Linux: each filter counts 4 more */

struct seccomp_filter {
    atomic_int refs;
    struct seccomp_filter *prev; /* older; a reference */
    unsigned len, chain_len;
    struct sock_filter insns[];
};

struct seccomp_filter *seccomp_get(struct seccomp_filter *f)
{
    atomic_fetch_add(&f->refs, 1);
    return f;
}

void seccomp_put(struct seccomp_filter *f)
{
    while (f && atomic_fetch_sub(&f->refs, 1) == 1) {
        struct seccomp_filter *prev = f->prev;
        free(f);
        f = prev;
    }
}

static void seccomp_put_p(struct seccomp_filter **f)
{
    seccomp_put(*f);
}

/* Judging --------------------------------------------------------------------------------------------------
 */

/* The strictest verdict of all; between equals the newest's data. */
static uint32_t verdict(const struct seccomp_filter *f, const struct seccomp_data *data)
{
    uint32_t result = SECCOMP_RET_ALLOW;
    for (; f; f = f->prev) {
        uint32_t r = bpf_run(f->insns, data);
        if ((int32_t)(r & SECCOMP_RET_ACTION_FULL) < (int32_t)(result & SECCOMP_RET_ACTION_FULL))
            result = r;
    }
    return result;
}

static long trap(struct task *t, const struct sysargs *a, int data)
{
    siginfo_t info = {.si_signo = SIGSYS, .si_code = 1 /* SYS_SECCOMP */, .si_errno = data};
    info.si_call_addr = (void *)(uintptr_t)a->ip; /* opaque: the guest's */
    info.si_syscall = a->nr;
    info.si_arch = AUDIT_ARCH_X86_64;
    LOCKED(&kernel.tasklist_lock);
    force_signal(t, &info);
    signal_settle(t);
    return a->nr; /* the handler finds the number in rax, as the call was never made */
}

static long kill_by(struct task *t, int signo)
{
    process_exit(t->process, signo, true);
    return SYS_NOANSWER;
}

static long answer_directly(const struct sysargs *a, long result)
{
    (void)notif_answer(a, result);
    return SYS_NOANSWER;
}

static long carry_out(struct task *t, const struct sysargs *a, uint32_t v)
{
    int data = (int)(v & SECCOMP_RET_DATA);
    switch (v & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
        return 0;
    case SECCOMP_RET_ERRNO:
        return answer_directly(a, -(data > 4095 ? 4095 : data));
    case SECCOMP_RET_TRAP:
        return answer_directly(a, trap(t, a, data));
    case SECCOMP_RET_TRACE: /* there is no tracer */
    case SECCOMP_RET_USER_NOTIF:
        return -ENOSYS;
    default: /* SECCOMP_RET_KILL_THREAD ends the process too: the host ends no single thread of another */
        return kill_by(t, SIGSYS);
    }
}

static bool strict_allows(int nr)
{
    return nr == SYS_read || nr == SYS_write || nr == SYS_exit || nr == SYS_rt_sigreturn;
}

/* What the guest called, where the gate asks on its behalf: which of the calls it was is not known any more.
 */
static void as_called(const struct sysargs *a, struct seccomp_data *data)
{
    bool plain = (int)a->arg[0] == AT_FDCWD && a->arg[4] == 0;
    switch (a->nr) {
    case GATE_CLONE:
        data->nr = SYS_clone;
        data->args[1] = 0; /* whether there is a stack */
        break;
    case GATE_EXEC:
        data->nr = plain ? SYS_execve : SYS_execveat;
        if (plain)
            memmove(data->args, data->args + 1, 3 * sizeof(data->args[0]));
        break;
    default:
        break;
    }
}

bool seccomp_covers(const struct sysargs *a)
{
    if (a->nr >= GATE_CALL_BASE)
        return a->nr == GATE_CLONE || a->nr == GATE_EXEC;
    if (!from_gate(a))
        return true;
    switch (a->nr) { /* the second halves of those two */
    case SYS_clone:
    case SYS_execveat:
    case SYS_mmap:
    case SYS_mprotect:
    case SYS_close:
    case SYS_exit:
        return false;
    default:
        return true;
    }
}

long seccomp_check(struct task *t, const struct sysargs *a)
{
    if (t->seccomp_mode == SECCOMP_MODE_STRICT)
        return strict_allows(a->nr) ? 0 : kill_by(t, SIGKILL);
    struct seccomp_data data = {.nr = a->nr, .arch = AUDIT_ARCH_X86_64, .instruction_pointer = a->ip};
    for (int i = 0; i < 6; i++)
        data.args[i] = a->arg[i];
    as_called(a, &data);
    _cleanup_(seccomp_put_p) struct seccomp_filter *f = NULL;
    {
        LOCKED(&kernel.tasklist_lock); /* another thread may put its filter on this one */
        f = t->seccomp ? seccomp_get(t->seccomp) : NULL;
    }
    return carry_out(t, a, verdict(f, &data));
}

/* Installing -----------------------------------------------------------------------------------------------
 */

long seccomp_set_strict(struct task *t)
{
    if (t->seccomp_mode == SECCOMP_MODE_FILTER)
        return -EINVAL;
    t->seccomp_mode = SECCOMP_MODE_STRICT;
    return 0;
}

static int read_program(struct task *t, uaddr_t addr, struct seccomp_filter **ret)
{
    struct {
        uint16_t len;
        uint64_t filter;
    } prog;
    if (get_user(t, &prog, addr) < 0)
        return -EFAULT;
    if (prog.len == 0 || prog.len > BPF_MAXINSNS)
        return -EINVAL;
    size_t size = prog.len * sizeof(struct sock_filter);
    _cleanup_free_ struct seccomp_filter *f = calloc(1, sizeof(*f) + size);
    if (!f)
        return -ENOMEM;
    if (copy_from_user(t, f->insns, prog.filter, size) < 0)
        return -EFAULT;
    if (!bpf_valid(f->insns, prog.len))
        return -EINVAL;
    atomic_init(&f->refs, 1);
    f->len = prog.len;
    *ret = steal_ptr(&f);
    return 0;
}

static bool is_ancestor(const struct seccomp_filter *old, const struct seccomp_filter *f)
{
    if (!old)
        return true;
    for (; f; f = f->prev)
        if (f == old)
            return true;
    return false;
}

/* [T] The first other thread that cannot take over t's filters; 0: none. */
static pid_t unsyncable(const struct task *t)
{
    const struct task *o;
    DL_FOREACH2(t->process->threads, o, thread_next)
    {
        if (o == t || o->exited)
            continue;
        bool other_mode = o->seccomp_mode != 0 && o->seccomp_mode != SECCOMP_MODE_FILTER;
        if (other_mode || !is_ancestor(o->seccomp, t->seccomp))
            return o->tid;
    }
    return 0;
}

/* [T] Takes a new reference. */
static void set_filter(struct task *t, struct seccomp_filter *f, bool no_new_privs)
{
    struct seccomp_filter *old = t->seccomp;
    t->seccomp = seccomp_get(f);
    t->seccomp_mode = SECCOMP_MODE_FILTER;
    t->no_new_privs |= no_new_privs;
    seccomp_put(old);
}

/* [T] f becomes the newest link of t's chain, and with sync of every thread's. */
static long attach(struct task *t, struct seccomp_filter *f, bool sync)
{
    struct task *o;
    pid_t bad = sync ? unsyncable(t) : 0;
    if (bad)
        return bad;
    unsigned before = t->seccomp ? t->seccomp->chain_len : 0;
    f->chain_len = before + f->len + 4;
    if (f->chain_len > CHAIN_INSNS_MAX)
        return -ENOMEM;
    f->prev = t->seccomp ? seccomp_get(t->seccomp) : NULL;
    set_filter(t, f, false);
    if (!sync)
        return 0;
    DL_FOREACH2(t->process->threads, o, thread_next)
    {
        if (o != t && !o->exited)
            set_filter(o, f, t->no_new_privs);
    }
    return 0;
}

long seccomp_install(struct task *t, unsigned flags, uaddr_t prog)
{
    const unsigned known = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG |
                           SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
    if (flags & ~known)
        return -EINVAL;
    if (t->seccomp_mode == SECCOMP_MODE_STRICT)
        return -EINVAL;
    if (!t->no_new_privs && !capable(t, CAP_SYS_ADMIN))
        return -EACCES;
    _cleanup_(seccomp_put_p) struct seccomp_filter *f = NULL;
    int r = read_program(t, prog, &f);
    if (r)
        return r;
    LOCKED(&kernel.tasklist_lock);
    long bad = attach(t, f, flags & SECCOMP_FILTER_FLAG_TSYNC);
    return bad > 0 && (flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH) ? -ESRCH : bad;
}

static long action_available(struct task *t, uaddr_t addr)
{
    uint32_t action;
    if (get_user(t, &action, addr) < 0)
        return -EFAULT;
    switch (action) {
    case SECCOMP_RET_KILL_PROCESS:
    case SECCOMP_RET_KILL_THREAD:
    case SECCOMP_RET_TRAP:
    case SECCOMP_RET_ERRNO:
    case SECCOMP_RET_LOG:
    case SECCOMP_RET_ALLOW:
        return 0;
    default:
        return -EOPNOTSUPP;
    }
}

long sys_seccomp(struct task *t, const struct sysargs *a)
{
    unsigned flags = (unsigned)a->arg[1];
    switch ((unsigned)a->arg[0]) {
    case SECCOMP_SET_MODE_STRICT:
        return flags || a->arg[2] ? -EINVAL : seccomp_set_strict(t);
    case SECCOMP_SET_MODE_FILTER:
        return seccomp_install(t, flags, a->arg[2]);
    case SECCOMP_GET_ACTION_AVAIL:
        return flags ? -EINVAL : action_available(t, a->arg[2]);
    default:
        return -EINVAL;
    }
}
