/* The filter of guest processes, from seccomp-profiles/gate.def. libseccomp knows nothing of instruction
 * pointers, by which this one tells gate code from guest code, so its few classic BPF instructions are put
 * together here. */
#ifndef BAILEY_PLATFORM_GATE_FILTER_H
#define BAILEY_PLATFORM_GATE_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#define GATE_FILTER_MAX 512

/* A set of system calls by number. */
#define CALL_SET_MAX 512
struct call_set {
    uint64_t bits[CALL_SET_MAX / 64];
};

static inline void call_set_add(struct call_set *s, int nr)
{
    s->bits[nr / 64] |= UINT64_C(1) << (nr % 64);
}

/* s may be NULL: empty. */
static inline bool call_set_has(const struct call_set *s, int nr)
{
    return s && nr >= 0 && nr < CALL_SET_MAX && (s->bits[nr / 64] >> (nr % 64) & 1);
}

/* Writes the program; returns its length. all_calls: nothing of guest code goes natively (strace). judged:
 * calls that the container's seccomp profile has a say in; none of them goes natively, and those that trap
 * into the gate say GATE_TRAP_JUDGED, so that it asks first. */
unsigned gate_filter_build(struct sock_filter prog[GATE_FILTER_MAX], bool all_calls,
                           const struct call_set *judged);

#endif
