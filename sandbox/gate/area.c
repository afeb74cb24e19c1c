/* Thread areas: where the gate's handlers run. Carved from chunks, found again by alignment, reused. */
#include "sandbox/gate/gate.h"

#define CHUNK_AREAS 16
#define PROT_RW 3
#define MAP_ANON_PRIVATE 0x22

/* The first thread's area needs no mapping of its own. */
_Alignas(GATE_AREA_SIZE) char gate_first_area[GATE_AREA_SIZE];

static struct gate_area *areas;
static int areas_lock;
static unsigned slots_given;

extern struct gate_shared gate_shared;

/* [areas_lock] An area keeps its slot from thread to thread. */
static struct gate_slot *next_slot(void)
{
    return slots_given < GATE_SLOTS ? &gate_shared.slots[slots_given++] : NULL;
}

struct gate_area *area_current(void)
{
    return (struct gate_area *)((uintptr_t)__builtin_frame_address(0) & ~(GATE_AREA_SIZE - 1));
}

struct gate_area *area_init(void)
{
    struct gate_area *a = (struct gate_area *)gate_first_area;

    __atomic_store_n(&areas, a, __ATOMIC_SEQ_CST); /* before its page is read: a fault of its own */
    a->in_use = 1;
    a->slot = next_slot();
    a->alt.flags = 2; /* SS_DISABLE */
    return a;
}

static void add_chunk(void)
{
    uint64_t size = (CHUNK_AREAS + 1) * GATE_AREA_SIZE;
    long p = sys6(NR_mmap, 0, size, PROT_RW, MAP_ANON_PRIVATE, (uint64_t)-1, 0);

    if (p < 0 && p > -4096)
        return;
    uint64_t first = ((uint64_t)p + GATE_AREA_SIZE - 1) & ~(GATE_AREA_SIZE - 1);
    for (int i = 0; i < CHUNK_AREAS; i++) {
        struct gate_area *a = (struct gate_area *)(first + (uint64_t)i * GATE_AREA_SIZE);

        a->slot = next_slot();
        a->next = areas;
        areas = a;
    }
}

static struct gate_area *take_free(void)
{
    for (struct gate_area *a = areas; a; a = a->next)
        if (!__atomic_load_n(&a->in_use, __ATOMIC_ACQUIRE) &&
            !__atomic_load_n(&a->pinned, __ATOMIC_ACQUIRE)) {
            a->in_use = 1;
            a->alt = (struct native_stack){.flags = 2};
            a->trace = 0;
            return a;
        }
    return NULL;
}

struct gate_area *area_alloc(void)
{
    gate_lock(&areas_lock);
    struct gate_area *a = take_free();
    if (!a) {
        add_chunk();
        a = take_free();
    }
    gate_unlock(&areas_lock);
    return a;
}

void area_reset_after_fork(void)
{
    struct gate_area *mine = area_current();

    /* What is written to becomes a page of the child's own: not without need. */
    if (areas_lock)
        areas_lock = 0;
    if (mine->trace)
        mine->trace = 0;
    for (struct gate_area *a = areas; a; a = a->next)
        if (a != mine && (a->in_use || a->pinned))
            a->in_use = a->pinned = 0;
}

int area_is_only(void)
{
    int n = 0;

    for (struct gate_area *a = areas; a; a = a->next)
        n += __atomic_load_n(&a->in_use, __ATOMIC_ACQUIRE) != 0;
    return n <= 1;
}

struct native_stack area_native_stack(struct gate_area *a)
{
    uint64_t used = (sizeof(*a) + 63) & ~63UL;

    return (struct native_stack){
        .sp = (uint64_t)a + used, .flags = 0, .size = area_top(a) - (uint64_t)a - used};
}
