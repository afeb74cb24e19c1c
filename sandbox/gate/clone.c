/* clone, fork, vfork: the keep approves and makes the task; the host makes the process or thread. */
#include "sandbox/gate/gate.h"

#define CLONE_VM 0x100UL
#define CLONE_FILES 0x400UL
#define CLONE_SIGHAND 0x800UL
#define CLONE_VFORK 0x4000UL
#define CLONE_PARENT 0x8000UL
#define CLONE_THREAD 0x10000UL
#define CLONE_SYSVSEM 0x40000UL
#define CLONE_SETTLS 0x80000UL
#define CLONE_CHILD_CLEARTID 0x200000UL

/* What the host's clone needs to know too; ids, names and parents are the keep's. */
#define NATIVE_FLAGS                                                                                         \
    (CLONE_VM | CLONE_FILES | CLONE_SIGHAND | CLONE_VFORK | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |    \
     CLONE_CHILD_CLEARTID)
#define EAGAIN 11

_Noreturn void gate_child(uint64_t token, struct native_ucontext *uc)
{
    if (sys2(GATE_ATTACH, token, patch_own_slot()) < 0)
        sys1(NR_exit, 0);
    gate_resume(uc);
}

/* A copy of the caller's context at the top of the child's area, where the child resumes from. */
static struct native_ucontext *child_context(struct gate_area *a, const struct native_ucontext *uc,
                                             uint64_t stack)
{
    uint64_t size = uc->mc.fpstate ? fpstate_size(uc->mc.fpstate) : 0;
    uint64_t sp = ((uint64_t)a + GATE_AREA_SIZE - size) & ~63UL;

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

static long clone_vm(struct native_ucontext *uc, uint64_t flags, uint64_t stack, uint64_t ctid, uint64_t tls,
                     uint64_t token)
{
    struct gate_area *a = area_alloc();

    if (!a)
        return -EAGAIN;
    a->lent = (flags & CLONE_VFORK) != 0;
    if (a->lent)
        a->alt = area_current()->alt;
    struct native_ucontext *c = child_context(a, uc, stack);
    long r = gate_native_clone_vm(flags, ((uint64_t)c - 256) & ~15UL, ctid, tls, token, c);
    /* A vfork child has left its area by now: it is another program, or gone. */
    if (r < 0 || (flags & CLONE_VFORK))
        __atomic_store_n(&a->in_use, 0, __ATOMIC_RELEASE);
    return r;
}

static long clone_copy(struct native_ucontext *uc, uint64_t flags, uint64_t stack, uint64_t ctid,
                       uint64_t tls, uint64_t token)
{
    long r = sys5(NR_clone, flags, 0, 0, ctid, tls);

    if (r == 0) {
        area_reset_after_fork();
        gate_brk_reset_after_fork();
        patch_after_fork();
        if (sys2(GATE_ATTACH, token, patch_own_slot()) < 0)
            sys1(NR_exit_group, 0);
        uc->mc.ax = 0;
        if (stack)
            uc->mc.sp = stack;
    }
    return r;
}

void gate_clone(struct native_ucontext *uc, uint64_t flags, uint64_t stack, uint64_t ptid, uint64_t ctid,
                uint64_t tls)
{
    long token = sys6(GATE_CLONE, flags, stack, ptid, ctid, uc->mc.ax, uc->mc.ip);

    if (token < 0) {
        gate_result(uc, token);
        return;
    }
    uint64_t native = flags & NATIVE_FLAGS;
    if (!(flags & CLONE_THREAD))
        native |= CLONE_PARENT; /* the porter reaps them all */
    long r = flags & CLONE_VM ? clone_vm(uc, native, stack, ctid, tls, (uint64_t)token)
                              : clone_copy(uc, native, stack, ctid, tls, (uint64_t)token);
    if (r < 0) {
        sys1(GATE_CLONE_ABORT, token);
        uc->mc.ax = (uint64_t)r;
    } else if (r > 0) {
        uc->mc.ax = (uint64_t)token & 0xffffffff;
    }
}

/* The keep gives the area back, once the thread is nothing to it any more; who stands in its last call needs
 * no stack. */
void gate_exit(int code)
{
    const struct gate_area *a = area_current();

    gate_exit_thread(code, a->lent ? NULL : &a->in_use, a->slot ? a->slot->robust : 0);
}
