/* A program's loader, which reads and maps the libraries that it has opened. It does so a few times at each
 * place, too few for a patched site, so its calls trap (gate.def), which costs a third of a ring. What it
 * opens is a lane from the start (fd_return_lane). */
#include "sandbox/gate/gate.h"

#define EPERM 1
#define EBADF 9
#define MAP_HUGETLB 0x40000
#define MAX_RW_COUNT 0x7ffff000UL

extern struct gate_shared gate_shared;

struct native_iovec {
    uint64_t base, len;
};

/* bits: gate_shared.lanes' any or plain. The thread's slot if fd is one of those; else NULL. */
static struct gate_slot *slot_for(const uint64_t *bits, uint64_t number)
{
    struct gate_slot *slot = patch_slot();
    int may = slot && (__atomic_load_n(&slot->valid, __ATOMIC_RELAXED) & GATE_VALID_IDS) &&
              is_lane(bits, (uint32_t)number);

    return may ? slot : NULL;
}

/* Like a patched site's (fast.S). */
static long read_lane(const struct native_sigcontext *r, uint64_t at)
{
    const struct native_iovec one = {r->si, r->dx};

    return r->dx - 1 < MAX_RW_COUNT ? sys6(NR_preadv2, r->di, (uint64_t)&one, 1, at, 0, 0) : -EBADF;
}

static int names_nothing(uint64_t path)
{
    return guest_can_read(path, 1) && *(const char *)path == 0;
}

/* -EBADF: not to be made here. */
static long make(const struct native_sigcontext *r)
{
    switch (r->ax) {
    case NR_read:
        return read_lane(r, (uint64_t)-1);
    case NR_pread64:
        return (int64_t)r->r10 >= 0 ? read_lane(r, r->r10) : -EBADF;
    case NR_fstat:
        return sys2(NR_fstat, r->di, r->si);
    default:
        return names_nothing(r->si) ? sys2(NR_fstat, r->di, r->dx) : -EBADF;
    }
}

void loader_call(struct native_ucontext *uc)
{
    struct native_sigcontext *r = &uc->mc;
    struct gate_slot *slot = slot_for(gate_shared.lanes.plain, r->di);
    long v = slot ? make(r) : -EBADF;

    if (v == -EBADF || v == -EPERM) {
        judge_pass_on(uc);
        return;
    }
    slot->transfers++;
    r->ax = (uint64_t)v;
}

/* A library's segments, or the file that says where libraries are. The keep is asked where that fails. */
void loader_map(struct native_ucontext *uc)
{
    struct native_sigcontext *r = &uc->mc;
    struct gate_slot *slot = r->r10 & MAP_HUGETLB ? NULL : slot_for(gate_shared.lanes.any, r->r8);
    long at = slot ? sys6(NR_mmap, r->di, r->si, r->dx, r->r10, r->r8, r->r9) : -EBADF;

    if (at < 0 && at > -4096) {
        judge_pass_on(uc);
        return;
    }
    slot->transfers++;
    r->ax = (uint64_t)at;
}
