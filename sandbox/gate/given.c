/* What a program asks as it begins: its FS base, its thread's id, a limit, a few random bytes. Answered where
 * the keep has said so with the image (struct gate_given), which saves the way to it; else it is asked. */
#include "sandbox/gate/gate.h"

#define ADDRESS_LIMIT 0x7ffffffff000UL
#define GRND_NONBLOCK 1UL

static int random_lock;

static int set_fs(uint64_t base)
{
    if (base >= ADDRESS_LIMIT || fs_selector() != 0)
        return 0;
    set_fs_base(base);
    return 1;
}

/* Only the first thread's: the keep knows where to look for that one. */
static int note_tid_address(const struct gate_slot *slot, uint64_t address)
{
    struct gate_tid_address *c = &gate_given->cleared;

    if (slot->tid != slot->pid || (c->tid && c->tid != slot->tid))
        return 0;
    c->address = address;
    c->tid = slot->tid;
    return 1;
}

static int tell_limit(uint32_t resource, uint64_t to)
{
    if (resource >= GATE_LIMITS || !to || !guest_can_write(to, sizeof(gate_given->limit[0])))
        return 0;
    memcpy((void *)to, gate_given->limit[resource], sizeof(gate_given->limit[0]));
    return 1;
}

static void draw(void *to, uint32_t n)
{
    gate_given->random_left -= n;
    memcpy(to, gate_given->random + gate_given->random_left, n);
    memset(gate_given->random + gate_given->random_left, 0, n);
}

/* From the store, which is filled again by one question for many. */
static int give_random(uint64_t to, uint64_t n, uint64_t flags)
{
    if (n == 0 || n > GATE_RANDOM || (flags & ~GRND_NONBLOCK) || !guest_can_write(to, n))
        return 0;
    gate_lock(&random_lock);
    if (gate_given->random_left < n)
        gate_given->random_left =
            sys3(NR_getrandom, gate_given->random, GATE_RANDOM, flags) == GATE_RANDOM ? GATE_RANDOM : 0;
    int enough = gate_given->random_left >= n;
    if (enough)
        draw((void *)to, (uint32_t)n);
    gate_unlock(&random_lock);
    return enough;
}

void given_before_fork(void)
{
    if (!gate_given->random_left)
        return;
    gate_lock(&random_lock);
    gate_given->random_left = 0;
    memset(gate_given->random, 0, GATE_RANDOM);
    gate_unlock(&random_lock);
}

/* Another thread may have drawn, or filled the store again, since. */
void given_after_fork(void)
{
    if (random_lock)
        random_lock = 0;
    if (gate_given->random_left)
        gate_given->random_left = 0;
}

/* 1: *result is what the call returns. */
static int answer(const struct native_sigcontext *r, const struct gate_slot *slot, uint64_t *result)
{
    *result = 0;
    switch (r->ax) {
    case NR_arch_prctl:
        return set_fs(r->si);
    case NR_set_tid_address:
        *result = (uint64_t)slot->tid;
        return note_tid_address(slot, r->di);
    case NR_prlimit64:
        return tell_limit((uint32_t)r->si, r->r10);
    default:
        *result = r->si;
        return give_random(r->di, r->si, (uint32_t)r->dx);
    }
}

void given_call(struct native_ucontext *uc)
{
    struct gate_slot *slot = patch_slot();
    uint64_t result;

    if (slot && (__atomic_load_n(&slot->valid, __ATOMIC_RELAXED) & GATE_VALID_GIVEN) &&
        answer(&uc->mc, slot, &result)) {
        slot->answered++;
        uc->mc.ax = result;
        return;
    }
    if (uc->mc.ax == NR_set_tid_address && slot && slot->tid == gate_given->cleared.tid)
        gate_given->cleared.tid = 0; /* what the keep has from now on is right */
    judge_pass_on(uc);
}
