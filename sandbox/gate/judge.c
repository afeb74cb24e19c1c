/* Calls that a filter has a say in, trapped into the gate to be asked for first. A container's profile is
 * known when its processes begin, and so is part of their host filter. What a program installs itself comes
 * later: then the gate adds a host filter of its own to the thread, which threads and processes made from
 * there on inherit. That one can only trap (one more notification would be ENOSYS), so the calls go on from
 * here. */
#include "sandbox/gate/gate.h"
#include "sandbox/gate/judged.h"

#define EINTR 4
#define ETIMEDOUT 110
#define SLICE_NS 50000000L
#define FUTEX_PRIVATE 128UL
#define FUTEX_CLOCK_REALTIME 256UL
#define FUTEX_WAIT 0
#define FUTEX_LOCK_PI 6
#define FUTEX_TRYLOCK_PI 8
#define FUTEX_WAIT_BITSET 9
#define FUTEX_LOCK_PI2 13

/* With the filters, in the gate's text: the keep lets the host read nothing that could change. */
#define PROGRAM(i)                                                                                           \
    {                                                                                                        \
        .len = JUDGED_PROGRAM, .filter = (struct sock_filter *)judged_filters[i]                             \
    }
static const struct sock_fprog programs[] = {
    PROGRAM(0), PROGRAM(1), PROGRAM(2), PROGRAM(3), PROGRAM(4),  PROGRAM(5),
    PROGRAM(6), PROGRAM(7), PROGRAM(8), PROGRAM(9), PROGRAM(10), PROGRAM(11),
};
_Static_assert(sizeof(programs) / sizeof(programs[0]) == JUDGED_CALLS, "one for each");

void judge_install(uint64_t calls)
{
    for (unsigned i = 0; i < JUDGED_CALLS; i++)
        if ((calls >> i & 1) && sys3(NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &programs[i]) < 0)
            sys1(NR_exit_group, 127); /* rather no program than one that does what it forbids itself */
}

/* Without a slot there is nowhere to go on from outside of the handler, in which no signal comes through: a
 * wait without an end is cut into pieces. */
static long futex_in_here(const struct native_sigcontext *r)
{
    const struct {
        int64_t sec, nsec;
    } slice = {0, SLICE_NS};
    uint64_t op = r->si & ~(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME);

    if ((op != FUTEX_WAIT && op != FUTEX_WAIT_BITSET) || r->r10)
        return sys6(NR_futex, r->di, r->si, r->dx, r->r10, r->r8, r->r9);
    long v = sys4(NR_futex, r->di, FUTEX_WAIT | (r->si & FUTEX_PRIVATE), r->dx, &slice);
    return v == -ETIMEDOUT ? -EINTR : v;
}

static int is_pi(uint64_t op)
{
    op &= ~(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME);
    return (op >= FUTEX_LOCK_PI && op <= FUTEX_TRYLOCK_PI) || op == FUTEX_LOCK_PI2;
}

/* Waits are made where signals come in: at gate_passed, which returns to the guest. */
static int go_on_with_futex(struct native_sigcontext *r)
{
    struct gate_slot *slot = patch_slot();

    if (is_pi(r->si))
        return 0;
    if (!slot) {
        r->ax = (uint64_t)futex_in_here(r);
        return 1;
    }
    slot->ret = r->ip;
    slot->nr = NR_futex;
    r->ip = (uint64_t)gate_passed;
    return 1;
}

int judge_leave(struct native_sigcontext *r)
{
    if (r->ip < (uint64_t)gate_passed || r->ip >= (uint64_t)gate_passed_end)
        return 0;
    const struct gate_slot *slot = (const struct gate_slot *)gs_base();
    r->cx = slot->ret;
    if (r->ip == (uint64_t)gate_passed) { /* not made, or to be made again */
        r->ip = slot->ret - 2;
        r->ax = slot->nr;
    } else {
        r->ip = slot->ret;
    }
    return 1;
}

static int is_native(uint64_t nr)
{
    for (unsigned i = 0; i < JUDGED_NATIVE; i++)
        if (judged_calls[i] == nr)
            return 1;
    return 0;
}

/* The keep judges and answers, or lets the host make it. */
void judge_pass_on(struct native_ucontext *uc)
{
    const struct native_sigcontext *r = &uc->mc;
    const uint64_t args[6] = {r->di, r->si, r->dx, r->r10, r->r8, r->r9};
    struct gate_slot *slot = patch_slot();

    if (slot)
        slot->ret = r->ip;
    uc->mc.ax = (uint64_t)gate_ring(r->ax, args);
}

/* Their own question to the keep says all that there is to judge. */
static int is_judged_anyhow(uint64_t nr)
{
    return nr == NR_clone || nr == NR_fork || nr == NR_vfork || nr == NR_execve || nr == NR_execveat ||
           nr == NR_shmat || nr == NR_shmdt || nr == NR_io_setup || nr == NR_io_destroy ||
           nr == NR_rt_sigprocmask || nr == NR_set_robust_list;
}

int judge_trapped(struct native_ucontext *uc)
{
    struct native_sigcontext *r = &uc->mc;

    if (is_judged_anyhow(r->ax))
        return 0;
    if (is_native(r->ax) && r->ax != NR_futex) {
        judge_pass_on(uc);
        return 1;
    }
    long v = sys6(GATE_JUDGE_BASE + (long)r->ax, r->di, r->si, r->dx, r->r10, r->r8, r->ip);
    if (v != GATE_JUDGE_PASSED) {
        gate_result(uc, v);
        return 1;
    }
    return r->ax == NR_futex && go_on_with_futex(r);
}
