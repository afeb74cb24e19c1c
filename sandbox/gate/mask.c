/* The guest's signal mask, which is in the thread's slot: sandbox/keep/signal/sigmask.c says when, and why
 * nothing is missed. */
#include "sandbox/gate/gate.h"

extern struct gate_shared gate_shared;

#define UNBLOCKABLE 0x40100UL /* SIGKILL, SIGSTOP */

static int slot_counts(const struct gate_slot *slot)
{
    return slot && (__atomic_load_n(&slot->valid, __ATOMIC_RELAXED) & GATE_VALID_IDS);
}

#define SITE_WAYS 4
#define SITE_CALLS 32 /* patching costs about as much as this many traps do */

/* Once, when the site has trapped often enough for a jump in its place. Of those with the same hash the least
 * busy gives way. Who counts at the same time may miss one. */
static int is_hot(uint64_t ip)
{
    struct gate_site *way =
        &gate_shared.sites[(ip ^ ip >> 6 ^ ip >> 12) % (GATE_SITES / SITE_WAYS) * SITE_WAYS];
    struct gate_site *least = way;

    for (unsigned i = 0; i < SITE_WAYS; i++) {
        if (way[i].ip == ip)
            return ++way[i].calls == SITE_CALLS;
        if (way[i].calls < least->calls)
            least = &way[i];
    }
    least->ip = ip;
    least->calls = 1;
    return 0;
}

void gate_mask_call(struct native_ucontext *uc)
{
    struct native_sigcontext *r = &uc->mc;
    const struct gate_slot *slot = area_current()->slot;
    int counts = slot_counts(slot) && patch_is_own_gs();

    if (counts && !is_hot(r->ip)) {
        r->cx = r->ip;
        r->ip = r->ax == NR_set_robust_list ? (uint64_t)gate_robust : (uint64_t)gate_mask;
        return;
    }
    gate_result(uc, sys6((long)r->ax, r->di, r->si, r->dx, r->r10, counts ? GATE_HOT : r->r8, r->ip));
}

void mask_set(uint64_t mask)
{
    struct gate_slot *slot = area_current()->slot;

    mask &= ~UNBLOCKABLE;
    if (slot_counts(slot)) {
        __atomic_exchange_n(&slot->blocked, mask, __ATOMIC_SEQ_CST);
        if (!(__atomic_load_n(&slot->marks, __ATOMIC_SEQ_CST) & ~mask))
            return;
    }
    sys1(GATE_SIGRETURN, mask);
}

static const struct gate_slot *own_slot(void)
{
    return (const struct gate_slot *)gs_base();
}

int mask_leave(struct native_sigcontext *r)
{
    const char *ip = (const char *)r->ip;

    if (ip < gate_mask_begin || ip >= gate_mask_end)
        return 0;
    if (ip >= gate_mask_rung) {
        r->ip = r->cx = own_slot()->ret;
        return 1;
    }
    if (ip < gate_mask_committed || ip >= gate_mask_ring) {
        r->cx = ip == gate_mask_ringing ? own_slot()->ret : r->cx;
        r->ip = r->cx - 2;
        return 1;
    }
    if (ip < gate_mask_written && r->dx)
        *(uint64_t *)r->dx = r->r11;
    if (ip >= gate_mask_settle)
        r->cx = own_slot()->ret;
    r->ax = 0;
    r->ip = r->cx;
    return 1;
}

int mask_faulted(struct native_sigcontext *r)
{
    const char *ip = (const char *)r->ip;

    if (ip < gate_mask_begin || ip >= gate_mask_ring)
        return 0;
    r->ip = (uint64_t)gate_mask_ring;
    return 1;
}
