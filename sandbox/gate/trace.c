/* Threads that are traced (ptrace(2)): where they stop, they stand in GATE_STOP, and the keep reads and
 * changes what they go on with. The host's syscall user dispatch sends all their calls here; sites that are
 * patched refuse, as the slot does not count for a traced thread (sandbox/keep/lanes/fast.c). A call is made
 * where signals come in, at gate_traced, as if its own instruction had. */
#include "sandbox/gate/gate.h"

#include <linux/audit.h>

#define ENOSYS 38
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define FUTEX_PRIVATE 128UL
#define FUTEX_CLOCK_REALTIME 256UL
#define FUTEX_LOCK_PI 6
#define FUTEX_TRYLOCK_PI 8
#define FUTEX_LOCK_PI2 13

/* What the host says of a call that it sends here. */
struct native_sigsys {
    uint64_t call_addr;
    int32_t nr;
    uint32_t arch;
};

static void obey(struct gate_area *a, const struct gate_signal *s)
{
    uint32_t changes = a->trace ^ s->trace;

    if ((s->trace & GATE_TRACE_FS) && patch_is_own_gs())
        set_fs_base(s->fs_base);
    a->trace = s->trace & ~(uint32_t)GATE_TRACE_FS;
    /* Without the slot there is nowhere to make the calls from. */
    if ((changes & GATE_TRACE_ON) && (patch_slot() || !(s->trace & GATE_TRACE_ON)))
        sys5(NR_prctl, PR_SET_SYSCALL_USER_DISPATCH, s->trace & GATE_TRACE_ON,
             s->trace & GATE_TRACE_ON ? GATE_BASE : 0, s->trace & GATE_TRACE_ON ? GATE_LIMIT - GATE_BASE : 0,
             0);
}

static long stop(struct native_ucontext *uc, uint64_t why, uint64_t nr)
{
    struct gate_area *a = area_current();
    int own = patch_is_own_gs();

    a->sig.trace = a->trace;
    long r =
        sys6(GATE_STOP, (uint64_t)&a->sig, (uint64_t)uc, why, nr, own ? fs_base() : 0, own ? 0 : gs_base());
    obey(a, &a->sig);
    return r;
}

/* Stands, and goes on with what the keep says. */
static void stand(struct native_ucontext *uc, uint64_t why, uint64_t nr)
{
    struct gate_area *a = area_current();
    long r = stop(uc, why, nr);

    while (r == 1) {
        gate_build_frame(uc, &a->sig);
        r = a->trace & GATE_TRACE_STEP ? stop(uc, GATE_STOP_FRAME, 0) : 0;
    }
    if (r == GATE_SIGNAL_END)
        gate_exit(0);
}

void trace_signal(struct native_ucontext *uc, enum patch_state in)
{
    stand(uc, GATE_STOP_SIGNAL | (uint64_t)in << 8, in == PATCH_EINTR ? patch_number() : uc->mc.ax);
}

void trace_ends(struct native_ucontext *uc, int status)
{
    if (area_current()->trace & GATE_TRACE_ENDS)
        stop(uc, GATE_STOP_ENDS, (uint64_t)(uint32_t)status);
}

void trace_vfork(struct native_ucontext *uc, uint32_t pid)
{
    stop(uc, GATE_STOP_VFORK, pid);
}

/* The call is over, in here or at gate_traced. */
static void finish(struct native_ucontext *uc, uint64_t nr)
{
    if (area_current()->trace & (GATE_TRACE_CALLS | GATE_TRACE_STEP))
        stand(uc, GATE_STOP_EXIT, nr);
}

static int is_pi(uint64_t op)
{
    op &= ~(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME);
    return (op >= FUTEX_LOCK_PI && op <= FUTEX_TRYLOCK_PI) || op == FUTEX_LOCK_PI2;
}

/* What the gate makes itself. */
static int is_dispatched(const struct native_sigcontext *r)
{
    switch (r->ax) {
    case NR_clone:
    case NR_fork:
    case NR_vfork:
    case NR_execve:
    case NR_execveat:
    case NR_rt_sigreturn:
    case NR_sigaltstack:
    case NR_brk:
    case NR_shmat:
    case NR_shmdt:
    case NR_io_setup:
    case NR_io_destroy:
    case NR_rt_sigprocmask:
    case NR_set_robust_list:
    case NR_exit:
        return 1;
    case NR_futex:
        return is_pi(r->si);
    default:
        return 0;
    }
}

/* Of these, what a filter sees only if it is asked for it. */
static int is_refused(struct native_ucontext *uc)
{
    const struct native_sigcontext *r = &uc->mc;

    if (r->ax != NR_exit && r->ax != NR_brk && r->ax != NR_sigaltstack && r->ax != NR_rt_sigreturn &&
        r->ax != NR_futex)
        return 0;
    long v = sys6(GATE_JUDGE_BASE + (long)r->ax, r->di, r->si, r->dx, r->r10, r->r8, r->ip);
    if (v == GATE_JUDGE_PASSED)
        return 0;
    gate_result(uc, v);
    return 1;
}

static void go_on(struct native_ucontext *uc)
{
    struct native_sigcontext *r = &uc->mc;
    struct gate_slot *slot = patch_slot();
    struct gate_area *a = area_current();
    int back = a->trace & (GATE_TRACE_CALLS | GATE_TRACE_STEP);

    if (!slot) { /* the program has set GS since: it is heard of when the call is over */
        const uint64_t args[6] = {r->di, r->si, r->dx, r->r10, r->r8, r->r9}, nr = r->ax;

        r->ax = (uint64_t)gate_ring((long)nr, args);
        finish(uc, nr);
        return;
    }
    a->traced_ip = slot->si = r->ip;
    slot->nr = (uint32_t)r->ax;
    slot->ret = back ? (uint64_t)gate_traced_end : r->ip;
    r->ip = (uint64_t)gate_traced;
}

void trace_call(struct native_ucontext *uc, const struct native_siginfo *si)
{
    const struct native_sigsys *call = (const struct native_sigsys *)si->rest;
    struct native_sigcontext *r = &uc->mc;

    if (call->arch != AUDIT_ARCH_X86_64) {
        r->ax = (uint64_t)-ENOSYS;
        return;
    }
    r->flags &= ~(uint64_t)FLAGS_TF; /* a step is over when the call is */
    if ((area_current()->trace & GATE_TRACE_CALLS) && stop(uc, GATE_STOP_ENTER, r->ax) == GATE_STOP_SKIP) {
        finish(uc, (uint64_t)-1);
        return;
    }
    uint64_t nr = r->ax;
    if (nr == NR_exit || nr == NR_exit_group)
        trace_ends(uc, (int)(r->di & 0xff) << 8);
    if (!is_dispatched(r)) {
        go_on(uc);
        return;
    }
    if (!is_refused(uc))
        gate_dispatch(uc);
    finish(uc, nr);
}

int trace_returned(struct native_ucontext *uc)
{
    struct native_sigcontext *r = &uc->mc;
    const struct gate_slot *slot = patch_slot();

    if (r->ip != (uint64_t)gate_traced_end + 1 || !slot)
        return 0;
    r->ip = r->cx = area_current()->traced_ip;
    finish(uc, slot->nr);
    return 1;
}

int trace_leave(struct native_sigcontext *r)
{
    if (r->ip < (uint64_t)gate_traced || r->ip > (uint64_t)gate_traced_end)
        return 0;
    uint64_t ip = area_current()->traced_ip;
    r->cx = ip;
    if (r->ip == (uint64_t)gate_traced) { /* not made, or to be made again */
        r->ax = ((const struct gate_slot *)gs_base())->nr;
        ip -= 2;
    }
    r->ip = ip;
    return 1;
}
