#include "sandbox/platform/gate_filter.h"

#include <asm/prctl.h>
#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "sandbox/gate/abi.h"

#define FUTEX_LOCK_PI2_ 13 /* Linux 5.14 */
#define X32_BIT 0x40000000U
#define LO(i) ((unsigned)(offsetof(struct seccomp_data, args) + 8 * (i)))
#define HI(i) (LO(i) + 4)

enum condition {
    ANY,
    ABOVE_GATE,
    OWN_MAP,
    PLACE,
    ADVICE,
    FUTEX_OP,
    FUTEX_PI,
    SEND,
    RECEIVE,
    NO_FLAGS,
    OWN_CLOCK,
    SET_FS,
    OWN_LIMIT,
    FEW_BYTES,
    LEAVE,
    HEAD,
    ITSELF
};

struct rule {
    int nr;
    enum condition cond;
    unsigned action;
};

#define GUEST(call, cond, reason) {__NR_##call, cond, SECCOMP_RET_ALLOW},
static const struct rule guest_native[] = {
#include "seccomp-profiles/gate.def"
};
#define TRAP(call, reason) {__NR_##call, ANY, SECCOMP_RET_TRAP},
static const struct rule guest_traps[] = {
#include "seccomp-profiles/gate.def"
};
#define TRAP_IF(call, cond, reason) {__NR_##call, cond, SECCOMP_RET_TRAP},
static const struct rule start_traps[] = {
#include "seccomp-profiles/gate.def"
};
#define LOADER(call, cond, reason) {__NR_##call, cond, SECCOMP_RET_TRAP},
static const struct rule loader_traps[] = {
#include "seccomp-profiles/gate.def"
};
#define GATE(call, cond, reason) {__NR_##call, cond, SECCOMP_RET_ALLOW},
static const struct rule gate_native[] = {
#include "seccomp-profiles/gate.def"
};
#define LANE(call, cond, reason) {__NR_##call, cond, SECCOMP_RET_ALLOW},
static const struct rule lane_native[] = {
#include "seccomp-profiles/gate.def"
};
#define LANE_FOR(call, native) {__NR_##call, __NR_##native},
static const struct {
    int nr, native;
} lane_for[] = {
#include "seccomp-profiles/gate.def"
};
/* Its flags are in memory, where no filter sees them: libc then takes clone, with flags in a register. */
static const struct rule refused[] = {{__NR_clone3, ANY, SECCOMP_RET_ERRNO | ENOSYS}};
/* Locks with priority inheritance, where plain futex calls are not native. */
static const struct rule pi_traps[] = {{__NR_futex, FUTEX_PI, SECCOMP_RET_TRAP}};

#define COUNT(a) ((unsigned)(sizeof(a) / sizeof((a)[0])))

struct prog {
    struct sock_filter *f;
    unsigned n;
};

static unsigned emit(struct prog *p, unsigned short code, uint32_t k, unsigned char jt, unsigned char jf)
{
    p->f[p->n] = (struct sock_filter){code, jt, jf, k};
    return p->n++;
}

static void load(struct prog *p, unsigned off)
{
    emit(p, BPF_LD | BPF_W | BPF_ABS, off, 0, 0);
}

static void ret(struct prog *p, unsigned action)
{
    emit(p, BPF_RET | BPF_K, action, 0, 0);
}

/* Falls through when argument i is at or above GATE_LIMIT (or zero, if the call's flags, argument 3, have not
 * the one that makes it an address: 0 if none does); else answers with a notification. */
static void above_gate(struct prog *p, int i, unsigned fixed)
{
    load(p, HI(i));
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, fixed ? 6 : 3); /* high word set: fine */
    load(p, LO(i));
    emit(p, BPF_JMP | BPF_JGE | BPF_K, GATE_LIMIT, fixed ? 4 : 1, 0);
    if (fixed) {
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2);
        load(p, LO(3));
        emit(p, BPF_JMP | BPF_JSET | BPF_K, fixed, 0, 1);
    }
    ret(p, SECCOMP_RET_USER_NOTIF);
}

/* Falls through when no bit outside mask is set in the low word of argument i, and all of `set` are. */
static void bits(struct prog *p, int i, uint32_t mask, uint32_t set)
{
    load(p, LO(i));
    emit(p, BPF_JMP | BPF_JSET | BPF_K, ~mask, 0, 1);
    ret(p, SECCOMP_RET_USER_NOTIF);
    if (set) {
        emit(p, BPF_JMP | BPF_JSET | BPF_K, set, 1, 0);
        ret(p, SECCOMP_RET_USER_NOTIF);
    }
}

/* Falls through when argument i is zero. */
static void null(struct prog *p, int i)
{
    load(p, LO(i));
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2);
    load(p, HI(i));
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
    ret(p, SECCOMP_RET_USER_NOTIF);
}

/* Falls through when the low word of argument i, masked, is one of the list. */
static void one_of(struct prog *p, int i, uint32_t mask, const uint32_t *list, unsigned n)
{
    load(p, LO(i));
    if (mask != UINT32_MAX)
        emit(p, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
    for (unsigned k = 0; k < n; k++)
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, list[k], (unsigned char)(n - k), 0);
    ret(p, SECCOMP_RET_USER_NOTIF);
}

static const uint32_t pi_ops[] = {FUTEX_LOCK_PI, FUTEX_UNLOCK_PI, FUTEX_TRYLOCK_PI, FUTEX_LOCK_PI2_};
#define FUTEX_OP_MASK (~(uint32_t)(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME))

/* Falls through for plain waits and wakes; locks with priority inheritance are the gate's to emulate. */
static void futex_op(struct prog *p)
{
    static const uint32_t plain[] = {FUTEX_WAIT,    FUTEX_WAKE,        FUTEX_REQUEUE,    FUTEX_CMP_REQUEUE,
                                     FUTEX_WAKE_OP, FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET};
    const unsigned n = sizeof(plain) / sizeof(plain[0]), m = sizeof(pi_ops) / sizeof(pi_ops[0]);

    load(p, LO(1));
    emit(p, BPF_ALU | BPF_AND | BPF_K, FUTEX_OP_MASK, 0, 0);
    for (unsigned k = 0; k < n; k++)
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, plain[k], (unsigned char)(n - k - 1 + m + 2), 0);
    for (unsigned k = 0; k < m; k++)
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, pi_ops[k], (unsigned char)(m - k), 0);
    ret(p, SECCOMP_RET_USER_NOTIF);
    ret(p, SECCOMP_RET_TRAP);
}

/* Falls through for bytes to or from whoever the socket is connected to: no address, and no flag that means
 * more than how to wait and what to leave. Urgent data, error queues and zero copy are the keep's. */
static void bytes_only(struct prog *p, uint32_t flags)
{
    null(p, 4);
    bits(p, 3, flags, 0);
}

/* Falls through when argument i is at most max. */
static void at_most(struct prog *p, int i, uint32_t max)
{
    load(p, HI(i));
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2);
    load(p, LO(i));
    emit(p, BPF_JMP | BPF_JGT | BPF_K, max, 0, 1);
    ret(p, SECCOMP_RET_USER_NOTIF);
}

#define SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE | MSG_EOR)
#define RECEIVE_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL | MSG_PEEK | MSG_WAITALL | MSG_TRUNC | MSG_CMSG_CLOEXEC)

/* Falls through where the call is a loader's; else it goes to where land() is called with what this returns.
 */
static unsigned if_loader(struct prog *p)
{
    load(p, offsetof(struct seccomp_data, instruction_pointer) + 4);
    emit(p, BPF_JMP | BPF_JGE | BPF_K, GATE_LOADERS, 0, 1);
    emit(p, BPF_JMP | BPF_JGE | BPF_K, GATE_LOADERS_END, 0, 1);
    return emit(p, BPF_JMP | BPF_JA, 0, 0, 0);
}

static void land(struct prog *p, unsigned jump)
{
    p->f[jump].k = p->n - jump - 1;
}

/* Falls through for anonymous memory. */
static void own_map(struct prog *p)
{
    load(p, LO(3));
    emit(p, BPF_ALU | BPF_AND | BPF_K, MAP_ANONYMOUS | MAP_FIXED, 0, 0);
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, MAP_FIXED, 5, 0);
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 5);
    unsigned other = if_loader(p);
    ret(p, SECCOMP_RET_TRAP);
    land(p, other);
    bits(p, 3,
         MAP_PRIVATE | MAP_SHARED | MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_ANONYMOUS | MAP_NORESERVE |
             MAP_STACK | MAP_POPULATE | MAP_GROWSDOWN | MAP_DENYWRITE | MAP_NONBLOCK,
         MAP_ANONYMOUS);
    above_gate(p, 0, MAP_FIXED);
}

/* What may be asked for natively. */
static const uint32_t advice[] = {
    MADV_NORMAL,   MADV_RANDOM,     MADV_SEQUENTIAL, MADV_WILLNEED,   MADV_DONTNEED,      MADV_FREE,
    MADV_DONTFORK, MADV_DOFORK,     MADV_HUGEPAGE,   MADV_NOHUGEPAGE, MADV_DONTDUMP,      MADV_DODUMP,
    MADV_COLD,     MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_PAGEOUT,    MADV_POPULATE_READ, MADV_POPULATE_WRITE,
};
static const uint32_t set_fs[] = {ARCH_SET_FS};
static const uint32_t leave[] = {GATE_LEAVE};
static const uint32_t heads[] = {832, 960}; /* bytes that glibc's and musl's loaders read at first */
static const uint32_t itself[] = {AT_EMPTY_PATH};
static const uint32_t clocks[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11};

static void condition(struct prog *p, enum condition c)
{
    switch (c) {
    case ANY:
        break;
    case ABOVE_GATE:
        above_gate(p, 0, 0);
        break;
    case OWN_MAP:
        own_map(p);
        break;
    case PLACE:
        above_gate(p, 0, MAP_FIXED);
        break;
    case ADVICE:
        above_gate(p, 0, 0);
        one_of(p, 2, UINT32_MAX, advice, sizeof(advice) / sizeof(advice[0]));
        break;
    case FUTEX_OP:
        futex_op(p);
        break;
    case FUTEX_PI:
        one_of(p, 1, FUTEX_OP_MASK, pi_ops, sizeof(pi_ops) / sizeof(pi_ops[0]));
        break;
    case SEND:
        bytes_only(p, SEND_FLAGS);
        break;
    case RECEIVE:
        bytes_only(p, RECEIVE_FLAGS);
        break;
    case NO_FLAGS: /* of preadv2 and pwritev2: an int */
        bits(p, 5, 0, 0);
        break;
    case OWN_CLOCK:
        one_of(p, 0, UINT32_MAX, clocks, sizeof(clocks) / sizeof(clocks[0]));
        break;
    case SET_FS:
        one_of(p, 0, UINT32_MAX, set_fs, 1);
        break;
    case OWN_LIMIT: /* asked for, not set */
        null(p, 0);
        null(p, 2);
        break;
    case FEW_BYTES:
        at_most(p, 1, GATE_RANDOM);
        break;
    case LEAVE:
        one_of(p, 1, UINT32_MAX, leave, 1);
        break;
    case HEAD:
        one_of(p, 2, UINT32_MAX, heads, 2);
        break;
    case ITSELF:
        one_of(p, 3, UINT32_MAX, itself, 1);
        break;
    }
}

/* The number is in the accumulator when a rule begins, and again behind it (a condition clobbers it, but then
 * answers). */
static void rule(struct prog *p, const struct rule *r, unsigned action)
{
    unsigned at = emit(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)r->nr, 0, 0);

    condition(p, r->cond);
    ret(p, action);
    p->f[at].jf = (unsigned char)(p->n - at - 1);
}

static void rules(struct prog *p, const struct rule *r, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        rule(p, &r[i], r[i].action);
}

/* What is judged rings the doorbell instead. */
static void rules_unless(struct prog *p, const struct call_set *judged, const struct rule *r, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!call_set_has(judged, r[i].nr))
            rule(p, &r[i], r[i].action);
}

static bool lane_is_judged(const struct call_set *judged, int native)
{
    bool for_others = false;

    for (unsigned i = 0; i < COUNT(lane_for); i++) {
        if (lane_for[i].native != native)
            continue;
        for_others = true;
        if (call_set_has(judged, lane_for[i].nr))
            return true;
    }
    return !for_others && call_set_has(judged, native);
}

static void lane_rules(struct prog *p, const struct call_set *judged)
{
    for (unsigned i = 0; i < COUNT(lane_native); i++)
        if (!lane_is_judged(judged, lane_native[i].nr))
            rule(p, &lane_native[i], lane_native[i].action);
}

static void trap_rules(struct prog *p, const struct rule *r, unsigned n, const struct call_set *judged)
{
    for (unsigned i = 0; i < n; i++)
        rule(p, &r[i], r[i].action | (call_set_has(judged, r[i].nr) ? GATE_TRAP_JUDGED : 0));
}

static void loader_rules(struct prog *p, const struct call_set *judged)
{
    unsigned other = if_loader(p);

    load(p, offsetof(struct seccomp_data, nr));
    rules_unless(p, judged, loader_traps, COUNT(loader_traps));
    land(p, other);
}

unsigned gate_filter_build(struct sock_filter prog[GATE_FILTER_MAX], bool all_calls,
                           const struct call_set *judged)
{
    struct prog p = {prog, 0};

    load(&p, offsetof(struct seccomp_data, arch));
    emit(&p, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    ret(&p, SECCOMP_RET_ERRNO | ENOSYS);
    load(&p, offsetof(struct seccomp_data, nr));
    emit(&p, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
    ret(&p, SECCOMP_RET_ERRNO | ENOSYS);

    /* Gate text or guest text? */
    load(&p, offsetof(struct seccomp_data, instruction_pointer) + 4);
    emit(&p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3);
    load(&p, offsetof(struct seccomp_data, instruction_pointer));
    emit(&p, BPF_JMP | BPF_JGE | BPF_K, GATE_BASE, 0, 1);
    emit(&p, BPF_JMP | BPF_JGE | BPF_K, GATE_LIMIT, 0, 1);
    unsigned to_guest = emit(&p, BPF_JMP | BPF_JA, 0, 0, 0);
    emit(&p, BPF_JMP | BPF_JEQ | BPF_K, GATE_RING_IP, 1, 0);
    emit(&p, BPF_JMP | BPF_JEQ | BPF_K, GATE_TRACED_IP, 0, 1);
    ret(&p, SECCOMP_RET_USER_NOTIF);
    load(&p, offsetof(struct seccomp_data, nr));
    if (!all_calls)
        lane_rules(&p, judged);
    rules(&p, gate_native, COUNT(gate_native));
    rules(&p, guest_native, COUNT(guest_native));
    ret(&p, SECCOMP_RET_USER_NOTIF);

    land(&p, to_guest);
    load(&p, offsetof(struct seccomp_data, nr));
    if (!all_calls) {
        rules_unless(&p, judged, guest_native, COUNT(guest_native));
        rules_unless(&p, judged, refused, COUNT(refused));
        rules_unless(&p, judged, start_traps, COUNT(start_traps));
    }
    if (all_calls || call_set_has(judged, __NR_futex))
        trap_rules(&p, pi_traps, COUNT(pi_traps), judged);
    trap_rules(&p, guest_traps, COUNT(guest_traps), judged);
    if (!all_calls)
        loader_rules(&p, judged);
    ret(&p, SECCOMP_RET_USER_NOTIF);
    return p.n;
}
