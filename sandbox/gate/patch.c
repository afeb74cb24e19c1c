/* Patched call sites: a system call instruction that keeps coming back is made a jump into the gate (fast.S).
 *
 * Some shapes can be changed so that whoever is in the middle of them goes on rightly:
 *
 *   mov $nr,%eax; syscall          b8 nr nr nr nr | 0f 05
 *     becomes a jump in the mov's place; the instruction itself stays, for those behind the mov, for jumps to
 *     it, and for the gate to fall back on.
 *   mov $nr,%eax; lea d32(%reg),%reg2; syscall   b8 nr nr nr nr | 48 8d mm dd dd dd dd | 0f 05
 *     as that: the lea is made in the island, and stays, too. Whom a signal sends back makes it twice.
 *   syscall; cmp $imm32,%rax       0f 05 | 48 3d ii ii ii ii
 *     becomes mov %esp,%ecx and a jump in the cmp's place: who comes back from the kernel, where the
 *     instruction was, has the address of the cmp in rcx, and is sent on behind a cmp of the island's own.
 *
 * Both jump to an island, a few instructions in a page near the site. What changes is written behind a
 * breakpoint, at which other threads wait. */
#include "sandbox/gate/gate.h"
#include "sandbox/gate/x86_64/slots.h"

#define PAGE 4096UL
#define PROT_READ 1
#define PROT_WRITE 2
#define PROT_EXEC 4
#define MAP_ANON_PRIVATE 0x22
#define MAP_FIXED_NOREPLACE 0x100000
#define MEMBARRIER_SYNC_CORE 32
#define MEMBARRIER_REGISTER_SYNC_CORE 64
#define HWCAP2_FSGSBASE 2UL
#define EPERM 1
#define EINTR 4
#define EBADF 9
#define ENOTSOCK 88
#define ETIMEDOUT 110
#define TRAP_INT3 3
#define INT3 0xcc

#define ISLAND 64UL /* bytes of one; its last eight are the site's address */
#define ISLANDS (PAGE / ISLAND)
#define CHUNKS 64
#define REACH 0x70000000UL /* of a 32-bit displacement, with room to spare */
#define CHUNK_STEP 0x100000UL
#define CHUNK_TRIES 1500UL

#define SHARED_AT(field, n) (GATE_SHARED + __builtin_offsetof(struct gate_shared, field) == (n))
_Static_assert(SHARED_AT(lanes.any, LANES) && SHARED_AT(lanes.sockets, SOCKETS) &&
                   SHARED_AT(lanes.plain, PLAIN) && SHARED_AT(slots, SLOTS) && GATE_LANE_FDS == LANE_FDS,
               "slots.h");
#define SLOT_AT(field, n) (__builtin_offsetof(struct gate_slot, field) == (n))
_Static_assert(sizeof(struct gate_slot) == SLOT_SIZE && SLOT_SIZE * GATE_SLOTS == SLOTS_SIZE &&
                   SLOT_AT(ret, SLOT_RET) && SLOT_AT(nr, SLOT_NR) && SLOT_AT(valid, SLOT_VALID) &&
                   SLOT_AT(pid, SLOT_PID) && SLOT_AT(tid, SLOT_TID) && SLOT_AT(uid, SLOT_UID) &&
                   SLOT_AT(euid, SLOT_EUID) && SLOT_AT(gid, SLOT_GID) && SLOT_AT(egid, SLOT_EGID) &&
                   SLOT_AT(untouched, SLOT_UNTOUCHED) && SLOT_AT(answered, SLOT_ANSWERED) &&
                   SLOT_AT(transfers, SLOT_TRANSFERS) && SLOT_AT(si, SLOT_SI) && SLOT_AT(dx, SLOT_DX) &&
                   SLOT_AT(r10, SLOT_R10) && SLOT_AT(r9, SLOT_R9) && SLOT_AT(blocked, SLOT_BLOCKED) &&
                   SLOT_AT(marks, SLOT_MARKS) && SLOT_AT(robust, SLOT_ROBUST) && SLOT_AT(r8, SLOT_R8),
               "slots.h");
_Static_assert(GATE_WAITED == 0x10000 && GATE_VALID_IDS == VALID_IDS && GATE_VALID_SELF == VALID_SELF &&
                   SHARED_AT(actions, ACTIONS) && sizeof(struct gate_action) == 32,
               "fast.S");
_Static_assert(GATE_SETTLE == 0x200c, "mask.S");

struct gate_shared gate_shared __attribute__((section(".shared,\"aw\",@nobits#")));

enum shape { SHAPE_NONE, SHAPE_MOV, SHAPE_LEA, SHAPE_CMP };

/* Bytes of their instructions. */
enum { MOV_LEN = 5, LEA_LEN = 7, SYSCALL_LEN = 2 };

struct chunk {
    uint64_t base;
    unsigned used;
};

/* What is being changed; the lock's. site != 0 while the site may hold breakpoints. */
static struct {
    uint64_t site, page, len;
    uint32_t prot;
    enum shape shape;
    unsigned char text[8];
} now;

static struct chunk chunks[CHUNKS] GATE_LATE;
static unsigned nchunks;
static int lock, works, barrier_ready;

void patch_init(uint64_t hwcap2)
{
    works = (hwcap2 & HWCAP2_FSGSBASE) != 0;
}

struct gate_slot *patch_slot(void)
{
    struct gate_slot *slot = area_current()->slot;

    return works && slot && gs_base() == (uint64_t)slot ? slot : NULL;
}

int patch_can_have(const struct gate_area *a)
{
    return works && a->slot;
}

uint64_t patch_slot_number(const struct gate_slot *slot)
{
    return (uint64_t)(slot - gate_shared.slots);
}

uint64_t patch_own_slot(void)
{
    uint64_t slot = (uint64_t)area_current()->slot;

    mailbox_own(area_current());
    if (works)
        set_gs_base(slot);
    return works ? slot : 0;
}

/* Islands --------------------------------------------------------------------------------------------------
 */

static int is_near(uint64_t a, uint64_t b)
{
    return (a > b ? a - b : b - a) < REACH;
}

static uint64_t map_chunk(uint64_t at)
{
    long p = sys6(NR_mmap, at, PAGE, PROT_READ | PROT_WRITE, MAP_ANON_PRIVATE | MAP_FIXED_NOREPLACE,
                  (uint64_t)-1, 0);

    if (p == (long)at)
        return at;
    if (p > 0) /* an old kernel took the address for a hint */
        sys2(NR_munmap, p, PAGE);
    return 0;
}

/* Below the site first: above it a heap may want to grow. */
static uint64_t find_room(uint64_t site)
{
    uint64_t page = site & ~(PAGE - 1), at = 0;

    for (uint64_t i = 1; i < CHUNK_TRIES && !at; i++)
        if (page > GATE_LIMIT + i * CHUNK_STEP)
            at = map_chunk(page - i * CHUNK_STEP);
    for (uint64_t i = CHUNK_TRIES; i > 0 && !at; i--)
        at = map_chunk(page + i * CHUNK_STEP);
    return at;
}

static struct chunk *chunk_near(uint64_t site)
{
    for (unsigned i = 0; i < nchunks; i++)
        if (chunks[i].used < ISLANDS && is_near(chunks[i].base, site))
            return &chunks[i];
    uint64_t at = nchunks < CHUNKS ? find_room(site) : 0;
    if (!at)
        return NULL;
    chunks[nchunks].base = at;
    return &chunks[nchunks++];
}

static unsigned char *put(unsigned char *p, const char *bytes, unsigned n)
{
    memcpy(p, bytes, n);
    return p + n;
}

static unsigned char *put32(unsigned char *p, uint64_t v)
{
    memcpy(p, &v, 4);
    return p + 4;
}

/* The displacement of a jump whose last byte is the one before `end`. */
static unsigned char *put_rel(unsigned char *p, uint64_t end, uint64_t target)
{
    return put32(p, target - end);
}

/* movabs $ret,%rcx; mov $gate_fast,%r11d; jmp *%r11 */
static unsigned char *put_gate_call(unsigned char *p, uint64_t ret)
{
    p = put(p, "\x48\xb9", 2);
    memcpy(p, &ret, 8);
    p = put(p + 8, "\x41\xbb", 2);
    p = put32(p, (uint64_t)gate_fast);
    return put(p, "\x41\xff\xe3", 3);
}

/* Offsets in the island of a SHAPE_CMP site. */
enum { CMP_BACK = 4, CMP_CALL = 0x0f, CMP_SYSCALL = 0x22, CMP_AFTER = 0x24 };

static void write_cmp_island(unsigned char *p, uint64_t at, uint64_t site)
{
    const char *cmp = (const char *)site + 2;

    p = put(p, "\x39\xe1\x74\x0b", 4); /* cmp %esp,%ecx; je CMP_CALL */
    p = put(p, cmp, 6);
    p = put_rel(put(p, "\xe9", 1), at + CMP_CALL, site + 8);
    p = put_gate_call(p, at + CMP_AFTER);
    p = put(p, "\x0f\x05", 2);
    p = put(p, cmp, 6);
    put_rel(put(p, "\xe9", 1), at + CMP_AFTER + 11, site + 8);
}

static void write_mov_island(unsigned char *p, uint64_t site)
{
    p = put(p, (const char *)site, MOV_LEN);
    put_gate_call(p, site + MOV_LEN + SYSCALL_LEN);
}

static int is_from_ip(const unsigned char *lea)
{
    return (lea[2] & 0xc7) == 5;
}

/* What the lea's displacement is for the same address, made at the island. */
static int64_t moved_displacement(uint64_t site, uint64_t island)
{
    const unsigned char *lea = (const unsigned char *)site + MOV_LEN;
    int32_t d;

    memcpy(&d, lea + 3, sizeof(d));
    return is_from_ip(lea) ? (int64_t)d + (int64_t)(site - island) : d;
}

static void write_lea_island(unsigned char *p, uint64_t at, uint64_t site)
{
    p = put(p, (const char *)site, MOV_LEN + 3);
    p = put32(p, (uint64_t)moved_displacement(site, at));
    put_gate_call(p, site + MOV_LEN + LEA_LEN + SYSCALL_LEN);
}

/* The island's address; 0: there is no room near. */
static uint64_t add_island(uint64_t site, enum shape shape)
{
    struct chunk *c = chunk_near(site);

    if (!c || sys3(NR_mprotect, c->base, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) < 0)
        return 0;
    uint64_t at = c->base + c->used * ISLAND;
    if (shape == SHAPE_LEA && moved_displacement(site, at) != (int32_t)moved_displacement(site, at))
        return 0;
    c->used++;
    if (shape == SHAPE_MOV)
        write_mov_island((unsigned char *)at, site);
    else if (shape == SHAPE_LEA)
        write_lea_island((unsigned char *)at, at, site);
    else
        write_cmp_island((unsigned char *)at, at, site);
    *(uint64_t *)(at + ISLAND - 8) = site;
    sys3(NR_mprotect, c->base, PAGE, PROT_READ | PROT_EXEC);
    return at;
}

/* The site of the island around ip, or 0. *at: the island. */
static uint64_t site_of_island(uint64_t ip, uint64_t *at)
{
    for (unsigned i = 0; i < nchunks; i++)
        if (ip - chunks[i].base < chunks[i].used * ISLAND) {
            *at = ip & ~(ISLAND - 1);
            return *(const uint64_t *)(*at + ISLAND - 8);
        }
    return 0;
}

static int is_patched(uint64_t site)
{
    for (unsigned i = 0; i < nchunks; i++)
        for (unsigned k = 0; k < chunks[i].used; k++)
            if (*(const uint64_t *)(chunks[i].base + (k + 1) * ISLAND - 8) == site)
                return 1;
    return 0;
}

/* Changing -------------------------------------------------------------------------------------------------
 */

/* Other CPUs fetch the instructions anew. Without the call (an old kernel) the mprotect calls around do that,
 * by the interrupts with which they take rights back. */
static void sync_cores(void)
{
    if (area_is_only())
        return;
    if (!barrier_ready)
        barrier_ready = sys2(NR_membarrier, MEMBARRIER_REGISTER_SYNC_CORE, 0) == 0;
    sys2(NR_membarrier, MEMBARRIER_SYNC_CORE, 0);
}

static void set_byte(uint64_t at, unsigned char v)
{
    __atomic_store_n((unsigned char *)at, v, __ATOMIC_SEQ_CST);
}

/* The second instruction's first byte, where threads may come in too. */
static unsigned second(enum shape s)
{
    return s == SHAPE_CMP ? 2 : 0;
}

static void write_text(void)
{
    unsigned n = now.shape == SHAPE_CMP ? 7 : 5, two = second(now.shape);

    set_byte(now.site, INT3);
    set_byte(now.site + two, INT3);
    sync_cores();
    for (unsigned i = 1; i < n; i++)
        if (i != two)
            set_byte(now.site + i, now.text[i]);
    sync_cores();
    set_byte(now.site + two, now.text[two]);
    set_byte(now.site, now.text[0]);
    sync_cores();
}

static void change(void)
{
    if (sys3(NR_mprotect, now.page, now.len, PROT_READ | PROT_WRITE | PROT_EXEC) < 0)
        return;
    write_text();
    sys3(NR_mprotect, now.page, now.len, now.prot);
}

/* A prefix would make the mov another one (of r8d, say). */
static int is_prefix(unsigned char b)
{
    return (b & 0xf0) == 0x40;
}

/* lea d32(%base),%reg, or from the instruction pointer: no index, and neither register is one that the call
 * or the island changes, nor the same. */
static int is_lea(const unsigned char *p)
{
    unsigned mod = p[2] >> 6, reg = p[2] >> 3 & 7, base = p[2] & 7;

    if (p[0] != 0x48 || p[1] != 0x8d || reg < 2 || reg == 4)
        return 0;
    return is_from_ip(p) || (mod == 2 && base >= 2 && base != 4 && base != reg);
}

/* p: the mov in question. The number says that it is one: the same bytes may be the end of something else. */
static int is_mov(const unsigned char *p, uint32_t nr)
{
    uint32_t imm;

    memcpy(&imm, p + 1, sizeof(imm));
    return p[0] == 0xb8 && imm == nr && !is_prefix(p[-1]);
}

#define LONGEST (MOV_LEN + LEA_LEN + SYSCALL_LEN)

static enum shape shape_of(const struct gate_patch *p)
{
    const unsigned char *ip = (const unsigned char *)p->ip;

    if (p->ip < p->start + MOV_LEN + SYSCALL_LEN + 1 || p->ip + 6 > p->end || ip[-2] != 0x0f ||
        ip[-1] != 0x05)
        return SHAPE_NONE;
    if (is_mov(ip - MOV_LEN - SYSCALL_LEN, p->nr))
        return SHAPE_MOV;
    if (p->ip > p->start + LONGEST && is_lea(ip - LEA_LEN - SYSCALL_LEN) && is_mov(ip - LONGEST, p->nr))
        return SHAPE_LEA;
    return ip[0] == 0x48 && ip[1] == 0x3d ? SHAPE_CMP : SHAPE_NONE;
}

static uint64_t site_of(const struct gate_patch *p, enum shape shape)
{
    return p->ip - (shape == SHAPE_MOV ? MOV_LEN + SYSCALL_LEN : shape == SHAPE_LEA ? LONGEST : SYSCALL_LEN);
}

static void plan(const struct gate_patch *p, enum shape shape, uint64_t site, uint64_t island)
{
    unsigned jump = second(shape);

    memcpy(now.text, "\x89\xe1", 2); /* mov %esp,%ecx */
    now.text[jump] = 0xe9;
    put_rel(now.text + jump + 1, site + jump + 5, island);
    now.page = site & ~(PAGE - 1);
    now.len = ((site + 8 + PAGE - 1) & ~(PAGE - 1)) - now.page;
    now.prot = p->prot;
    now.shape = shape;
    __atomic_store_n(&now.site, site, __ATOMIC_SEQ_CST);
}

void patch_site(const struct gate_patch *p)
{
    enum shape shape = works && area_current()->slot ? shape_of(p) : SHAPE_NONE;
    uint64_t site = site_of(p, shape);

    uint64_t at;

    if (shape == SHAPE_NONE)
        return;
    gate_lock(&lock);
    if (site_of_island(p->ip - 2, &at)) { /* what a site's calls go back to stays as it is */
        gate_unlock(&lock);
        return;
    }
    uint64_t island = is_patched(site) || shape_of(p) != shape ? 0 : add_island(site, shape);
    if (island) {
        plan(p, shape, site, island);
        change();
        __atomic_store_n(&now.site, 0, __ATOMIC_SEQ_CST);
    }
    gate_unlock(&lock);
}

void patch_after_fork(void)
{
    mailbox_after_fork();
    if (barrier_ready)
        barrier_ready = 0;
    if (now.site)
        change();
    if (now.site)
        now.site = 0;
    if (lock)
        lock = 0;
}

/* In the middle --------------------------------------------------------------------------------------------
 */

int patch_trapped(struct native_ucontext *uc)
{
    uint64_t at = uc->mc.ip - 1, site;

    if (uc->mc.trapno != TRAP_INT3)
        return 0;
    while ((site = __atomic_load_n(&now.site, __ATOMIC_SEQ_CST)) && (at == site || at == site + 2))
        sys0(NR_sched_yield);
    if ((!is_patched(at) && !is_patched(at - 2)) || *(const unsigned char *)at == INT3)
        return 0;
    uc->mc.ip = at;
    return 1;
}

int patch_is_syscall(uint64_t ip)
{
    const unsigned char *p = (const unsigned char *)ip;

    return (p[0] == 0x0f && p[1] == 0x05) || (p[0] == 0x89 && is_patched(ip));
}

/* Its registers are others' (fast.S). */
static void leave_sleep(struct native_sigcontext *r, const struct gate_slot *slot)
{
    r->di = slot->si;
    r->si = 0;
    if (r->ax == (uint64_t)-ETIMEDOUT)
        r->ax = 0;
}

/* Out of fast.S: to the instruction that the call stands for, or behind it. */
static void leave_gate(struct native_sigcontext *r)
{
    const struct gate_slot *slot = (const struct gate_slot *)gs_base();
    const char *ip = (const char *)r->ip;
    int again = ip < gate_fast_call && ip != gate_fast_done;

    if (ip >= gate_fast_saved) {
        r->cx = slot->ret;
        r->si = slot->si;
        r->dx = slot->dx;
        r->r10 = slot->r10;
        r->r9 = slot->r9;
        r->r8 = slot->r8;
        if (slot->nr == NR_nanosleep)
            leave_sleep(r, slot);
        again = ip <= gate_fast_call || ip > gate_fast_out || r->ax == (uint64_t)-EBADF ||
                r->ax == (uint64_t)-EPERM || r->ax == (uint64_t)-ENOTSOCK ||
                ((slot->nr & GATE_WAITED) && (int64_t)r->ax >= 0);
        if (again)
            r->ax = slot->nr & ~GATE_WAITED;
    }
    r->ip = again ? r->cx - 2 : r->cx;
}

static void leave_island(struct native_sigcontext *r, uint64_t at, uint64_t site)
{
    unsigned off = (unsigned)(r->ip - at);

    if (*(const unsigned char *)at == 0xb8) {
        r->ip = site;
        return;
    }
    int called = off >= CMP_AFTER || (off >= CMP_BACK && off < CMP_CALL) ||
                 (off < CMP_BACK && (uint32_t)r->cx != (uint32_t)r->sp);
    r->ip = called ? site + 2 : site;
    if (called)
        r->cx = r->ip;
}

/* The host's call leaves its return address in rcx: on the instruction again, it has been in the kernel. */
static enum patch_state state_of(const struct native_sigcontext *r)
{
    if (r->ip == (uint64_t)gate_fast_call && r->cx == (uint64_t)gate_fast_called)
        return PATCH_WAITED;
    return r->ip == (uint64_t)gate_fast_called && r->ax == (uint64_t)-EINTR ? PATCH_EINTR : PATCH_NONE;
}

void patch_show_site(struct native_sigcontext *r)
{
    uint64_t at, site = site_of_island(r->ip, &at);

    if (site)
        leave_island(r, at, site);
}

int patch_is_own_gs(void)
{
    return works && gs_base() == (uint64_t)area_current()->slot;
}

uint64_t patch_number(void)
{
    return ((const struct gate_slot *)gs_base())->nr & ~GATE_WAITED;
}

int patch_faulted(struct native_ucontext *uc)
{
    if (leave_faulted(&uc->mc) || mask_faulted(&uc->mc) || mailbox_leave(&uc->mc))
        return 1;
    if (uc->mc.ip < (uint64_t)gate_fast || uc->mc.ip >= (uint64_t)gate_fast_end)
        return 0;
    leave_gate(&uc->mc); /* not the island: its instruction rings, the site would come here again */
    return 1;
}

/* Between the two instructions of a site of SHAPE_CMP: the text may be as it was before, by a debugger's
 * doing, when the context goes on (sandbox/keep/trace/hold.c). No system call leaves rcx so. */
static void leave_middle(struct native_sigcontext *r)
{
    if (r->cx == (uint32_t)r->sp && is_patched(r->ip - 2))
        r->ip -= 2;
}

enum patch_state patch_translate(struct native_ucontext *uc)
{
    struct native_sigcontext *r = &uc->mc;
    enum patch_state state = state_of(r);
    uint64_t at, site;

    int mailed = mailbox_leave(r);
    if (mailed > 1)
        state = mailed == 2 ? PATCH_EINTR : PATCH_WAITED;
    if (!mailed && !mask_leave(r) && !judge_leave(r) && !trace_leave(r) && r->ip >= (uint64_t)gate_fast &&
        r->ip < (uint64_t)gate_fast_end)
        leave_gate(r);
    site = site_of_island(r->ip, &at);
    if (site)
        leave_island(r, at, site);
    else
        leave_middle(r);
    return state;
}
