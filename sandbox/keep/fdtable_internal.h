/* What fdtable.c and lanes.c share: a table's inside.
 *
 * Beside its file, a slot knows what the guest's native descriptor table holds at the same number: nothing
 * that matters (LANE_NONE), the file's own host descriptor (LANE_HERE), or perhaps something old
 * (LANE_STALE), or what one of several threads is about to close (LANE_CLOSING), so that nothing new may lie
 * there before. A number is only ever used natively after lane_donate found LANE_HERE, or made it so, under
 * the table's lock. */
#ifndef BAILEY_KEEP_FDTABLE_INTERNAL_H
#define BAILEY_KEEP_FDTABLE_INTERNAL_H

#include "sandbox/keep/fdtable.h"

enum lane_state { LANE_NONE, LANE_HERE, LANE_STALE, LANE_CLOSING };

struct slot {
    struct file *file;
    bool cloexec;
    uint8_t lane; /* enum lane_state; meaningful in empty slots too */
    uint8_t uses; /* transfers that the keep made itself; see lane_ready */
};

struct fdtable {
    atomic_int refs;
    pthread_mutex_t lock;
    struct slot *slots;
    unsigned size;
    unsigned first_free; /* no free slot is below it */
    atomic_bool locks;   /* see fdtable_note_locks */
    atomic_bool strange; /* see fdtable_is_strange */
    atomic_bool tokens;  /* see fdtable_has_tokens */
};

static inline bool sole_owner(struct fdtable *ft)
{
    return atomic_load(&ft->refs) == 1;
}

#endif
