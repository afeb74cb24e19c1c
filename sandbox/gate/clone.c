/* clone, fork, vfork: the keep approves and makes the task, the host makes the process or thread, by one
 * call. */
#include "sandbox/gate/gate.h"

#define CLONE_VM 0x100UL
#define CLONE_VFORK 0x4000UL
#define CLONE_CHILD_SETTID 0x1000000UL
#define EAGAIN 11

_Static_assert(__builtin_offsetof(struct gate_area, clone) == GATE_CLONE_IN_AREA, "abi.h");
_Static_assert(__builtin_offsetof(struct gate_clone, quiet) == 8 &&
                   __builtin_offsetof(struct gate_clone, left) == 16 && GATE_LEAVES == 2 &&
                   GATE_LEAVE == 0x65617665,
               "entry.S");

extern struct gate_shared gate_shared;

/* What the last argument says besides the number. */
static uint64_t call_of(const struct native_ucontext *uc, const struct gate_clone *c,
                        const struct gate_slot *slot)
{
    if (uc->mc.ax == NR_fork)
        return (uint64_t)c | GATE_CALLED_FORK;
    if (uc->mc.ax == NR_vfork)
        return (uint64_t)c | GATE_CALLED_VFORK;
    if (!slot)
        return (uint64_t)c | GATE_CALLED_CLONE;
    return ((uint64_t)c - GATE_CLONE_IN_AREA) | patch_slot_number(slot) << GATE_CLONE_SLOT_SHIFT |
           GATE_CALLED_THREAD;
}

/* The arguments of the native call. slot: of the child, which shares this memory. */
static void fill(uint64_t arg[6], const struct native_ucontext *uc, const struct guest_clone *g,
                 struct gate_clone *c, const struct gate_slot *slot)
{
    c->token = c->quiet = 0;
    c->ip = uc->mc.ip;
    c->stack = g->stack;
    c->tls = g->tls;
    arg[0] = GATE_CLONE_FLAGS(g->flags) | g->flags << 32;
    arg[1] = 0;
    arg[2] = g->ptid;
    arg[3] = g->ctid;
    arg[4] = g->flags & GATE_CLONE_SETTLS ? g->tls : area_mask(area_current());
    arg[5] = call_of(uc, c, slot) | (uint64_t)++ * area_clones(area_current()) << GATE_CLONE_NUMBER_SHIFT;
}

/* The parent's call is over: its result. */
static void finish(struct native_ucontext *uc, long r, uint64_t token)
{
    if (r < 0 && token)
        sys1(GATE_CLONE_ABORT, token);
    gate_result(uc, r < 0 ? r : (long)(token & 0xffffffff));
}

static long attach(uint64_t token)
{
    long r = sys2(GATE_ATTACH, token, patch_own_slot());

    return r == GATE_ATTACH_CLEAR ? sys3(NR_close_range, 0, UINT32_MAX, 0) : r;
}

_Noreturn void gate_child(struct native_ucontext *uc, const struct gate_clone *c)
{
    /* The keep takes quiet back before it looks for who is there: a thread that it did not see sees that. */
    if (__atomic_load_n(&c->quiet, __ATOMIC_SEQ_CST))
        patch_own_slot();
    else if (attach(c->token) < 0)
        sys1(NR_exit, 0);
    gate_resume(uc);
}

/* A copy of the caller's context at the top of the child's area, where the child resumes from. */
static struct native_ucontext *child_context(struct gate_area *a, const struct native_ucontext *uc,
                                             uint64_t stack)
{
    uint64_t size = uc->mc.fpstate ? fpstate_size(uc->mc.fpstate) : 0;
    uint64_t sp = (area_top(a) - size) & ~63UL;

    if (size)
        memcpy((void *)sp, (const void *)uc->mc.fpstate, size);
    struct native_ucontext *c = (struct native_ucontext *)((sp - sizeof(*c)) & ~15UL);
    *c = *uc;
    c->mc.fpstate = size ? sp : 0;
    c->mc.ax = 0;
    if (stack)
        c->mc.sp = stack;
    c->stack = area_native_stack(a);
    return c;
}

/* The child's area is not given to another before its parent has read the token there, soon as the child may
 * end. */
static void clone_vm(struct native_ucontext *uc, const struct guest_clone *g)
{
    struct gate_area *a = area_alloc();
    uint64_t arg[6];

    if (!a) {
        uc->mc.ax = (uint64_t)-EAGAIN;
        return;
    }
    const struct gate_area *own = area_current();
    a->lent = (g->flags & CLONE_VFORK) != 0;
    if (a->lent)
        a->alt = own->alt;
    if (a->slot && own->slot) /* where the mask is in slots, the keep does not touch it */
        a->slot->blocked = own->slot->blocked;
    __atomic_store_n(&a->pinned, 1, __ATOMIC_RELEASE);
    struct native_ucontext *c = child_context(a, uc, g->stack);
    fill(arg, uc, g, &a->clone, patch_can_have(a) ? a->slot : NULL);
    arg[1] = ((uint64_t)c - 256) & ~15UL;
    long r = gate_native_clone_vm(arg, c, &a->clone);
    int stops = r == GATE_VFORK_STOPS;
    if (stops) {
        arg[0] &= ~CLONE_VFORK;
        r = gate_native_clone_vm(arg, c, &a->clone);
    }
    uint64_t token = a->clone.token;
    if (stops && r > 0)
        trace_vfork(uc, (uint32_t)token);
    /* A vfork child has left its area by now: it is another program, or gone. */
    if (r < 0 || (g->flags & CLONE_VFORK))
        __atomic_store_n(&a->in_use, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&a->pinned, 0, __ATOMIC_RELEASE);
    finish(uc, r, token);
}

/* The child's own memory says all that it would be told: its first call is its word. Where the keep has found
 * it before, what is written here may be older than what the keep has written: it attaches. */
static long begin(const struct guest_clone *g, uint64_t token)
{
    const struct gate_born *born = &gate_shared.born;
    struct gate_slot *slot = area_current()->slot;

    if (born->pid != (uint32_t)token || !slot)
        return attach(token);
    patch_own_slot();
    slot->valid = born->valid;
    slot->pid = slot->tid = (int32_t)born->pid;
    slot->marks = 0;
    if (g->flags & CLONE_CHILD_SETTID)
        gate_put_id((int32_t)born->pid, (int32_t *)g->ctid);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n(&born->token, __ATOMIC_SEQ_CST) == token ? 0 : attach(token);
}

/* The clone is over: whoever has the token now is the child. */
static void forget_born(void)
{
    if (gate_shared.born.token)
        __atomic_store_n(&gate_shared.born.token, 0, __ATOMIC_RELEASE);
}

static void clone_copy(struct native_ucontext *uc, const struct guest_clone *g)
{
    struct gate_clone gc __attribute__((aligned(16)));
    uint64_t arg[6];

    fill(arg, uc, g, &gc, NULL);
    given_before_fork();
    long r = sys6(NR_clone, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
    if (r != 0) {
        forget_born();
        finish(uc, r, gc.token);
        return;
    }
    area_reset_after_fork();
    gate_brk_reset_after_fork();
    given_after_fork();
    patch_after_fork();
    if (begin(g, gc.token) < 0)
        sys1(NR_exit_group, 0);
    uc->mc.ax = 0;
    if (g->stack)
        uc->mc.sp = g->stack;
}

void gate_clone(struct native_ucontext *uc, const struct guest_clone *g)
{
    if (g->flags & CLONE_VM)
        clone_vm(uc, g);
    else
        clone_copy(uc, g);
}

int leave_faulted(struct native_sigcontext *r)
{
    if (r->ip == (uint64_t)gate_put_id) {
        r->ip = (uint64_t)gate_put_id_end;
        return 1;
    }
    if (r->ip < (uint64_t)gate_leave || r->ip >= (uint64_t)gate_leave_end)
        return 0;
    r->ip = (uint64_t)gate_leave_end;
    return 1;
}

/* The keep gives the area back, once the thread is nothing to it any more; who stands in its last call needs
 * no stack. */
void gate_exit(int code)
{
    struct gate_area *a = area_current();
    uint64_t robust = a->slot ? a->slot->robust : 0;

    if (!a->lent && __atomic_load_n(&a->clone.quiet, __ATOMIC_RELAXED) == GATE_LEAVES)
        gate_leave(code, &a->clone, robust, &a->in_use);
    gate_exit_thread(code, a->lent ? NULL : &a->in_use, robust);
}
