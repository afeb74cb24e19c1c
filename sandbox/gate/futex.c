/* Locks with priority inheritance, without the inheritance: FUTEX_LOCK_PI and its kin on plain futex waits.
 * The words hold the guest's thread ids, of which the host knows nothing, so that its own PI calls could not
 * work. */
#include "sandbox/gate/gate.h"

#define EPERM 1
#define EAGAIN 11
#define EFAULT 14
#define EINVAL 22
#define EDEADLK 35
#define ETIMEDOUT 110

#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
#define FUTEX_WAKE_OP 5
#define FUTEX_LOCK_PI 6
#define FUTEX_UNLOCK_PI 7
#define FUTEX_LOCK_PI2 13
#define FUTEX_PRIVATE 128UL
#define FUTEX_CLOCK_REALTIME 256UL
#define FUTEX_WAITERS 0x80000000U
#define FUTEX_TID_MASK 0x3fffffffU
#define OP_OR_NOTHING (2U << 28 | 0xfffU) /* *word |= 0; nobody is woken unless it was -1 */
#define CLOCK_MONOTONIC 1UL
#define PAGE 4096UL
#define SLICE_NS 50000000L

struct native_timespec {
    int64_t sec, nsec;
};

/* A word that can be written, or -EFAULT, -EINVAL: the host's opinion, since a fault in here would end the
 * process. */
static long check_word(uint64_t word, uint64_t private)
{
    static uint32_t nobody_waits_here;
    long r = sys6(NR_futex, (uint64_t)&nobody_waits_here, FUTEX_WAKE_OP | private, 1, 0, word, OP_OR_NOTHING);

    return r < 0 ? r : 0;
}

/* By a wait of no length. */
static long check_readable(uint64_t addr)
{
    const struct native_timespec none = {0, 0};
    long r = sys4(NR_futex, addr, FUTEX_WAIT | FUTEX_PRIVATE, 0, &none);

    return r == -EFAULT || r == -EINVAL ? -EFAULT : 0;
}

#define WORD(addr) ((addr) & ~3UL)

int guest_can_read(uint64_t addr, uint64_t len)
{
    const uint64_t last = addr + len - 1;

    return check_readable(WORD(addr)) == 0 && (addr / PAGE == last / PAGE || check_readable(WORD(last)) == 0);
}

int guest_can_write(uint64_t addr, uint64_t len)
{
    const uint64_t last = addr + len - 1;

    return check_word(WORD(addr), FUTEX_PRIVATE) == 0 &&
           (addr / PAGE == last / PAGE || check_word(WORD(last), FUTEX_PRIVATE) == 0);
}

static int is_past(const struct native_timespec *deadline, uint64_t clock)
{
    struct native_timespec now;

    sys2(NR_clock_gettime, clock, &now);
    return now.sec != deadline->sec ? now.sec > deadline->sec : now.nsec >= deadline->nsec;
}

static long unlock(uint32_t *word, uint32_t tid, uint64_t private)
{
    uint32_t v = __atomic_load_n(word, __ATOMIC_RELAXED), waiters = FUTEX_WAITERS;

    do
        if ((v & FUTEX_TID_MASK) != tid)
            return -EPERM;
    while (!__atomic_compare_exchange_n(word, &v, FUTEX_WAITERS, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    if (sys3(NR_futex, word, FUTEX_WAKE | private, 1) == 0)
        __atomic_compare_exchange_n(word, &waiters, 0, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return 0;
}

/* One attempt, and one wait of a slice. 0, an error, or 1: not yet. */
static long lock(uint32_t *word, uint32_t tid, uint64_t private, int only_try)
{
    const struct native_timespec slice = {0, SLICE_NS};
    uint32_t v = __atomic_load_n(word, __ATOMIC_RELAXED);

    while (!(v & FUTEX_TID_MASK))
        if (__atomic_compare_exchange_n(word, &v, v | tid, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return 0;
    if ((v & FUTEX_TID_MASK) == tid)
        return -EDEADLK;
    if (only_try)
        return -EAGAIN;
    if (!(v & FUTEX_WAITERS) &&
        !__atomic_compare_exchange_n(word, &v, v | FUTEX_WAITERS, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return 1;
    sys4(NR_futex, word, FUTEX_WAIT | private, v | FUTEX_WAITERS, &slice);
    return 1;
}

/* The call is made again after each slice, so that signals, which are blocked in here, come in between. */
void gate_futex(struct native_ucontext *uc)
{
    struct native_sigcontext *r = &uc->mc;
    uint64_t private = r->si & FUTEX_PRIVATE, op = r->si & ~(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME);
    uint64_t clock = op == FUTEX_LOCK_PI2 && !(r->si & FUTEX_CLOCK_REALTIME) ? CLOCK_MONOTONIC : 0;
    int waits = op == FUTEX_LOCK_PI || op == FUTEX_LOCK_PI2;
    const struct native_timespec *deadline = waits ? (const struct native_timespec *)r->r10 : NULL;
    long result = check_word(r->di, private);
    uint32_t tid = (uint32_t)sys0(NR_gettid);

    if (result == 0 && deadline)
        result = check_readable(r->r10) < 0 || check_readable(r->r10 + 12) < 0 ? -EFAULT : 0;
    if (result == 0 && op == FUTEX_UNLOCK_PI)
        result = unlock((uint32_t *)r->di, tid, private);
    else if (result == 0)
        result = lock((uint32_t *)r->di, tid, private, !waits);
    if (result == 1 && deadline && is_past(deadline, clock))
        result = -ETIMEDOUT;
    if (result == 1)
        r->ip -= 2; /* ax is the call's number still */
    else
        r->ax = (uint64_t)result;
}
