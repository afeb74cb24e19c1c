/* What process and linux of config.json ask for beside ids and limits: known to the keep, which shows it to
 * the guest, and set on the host process that becomes the first guest (platform/guest.c), which the others
 * inherit it from. */
#ifndef BAILEY_KEEP_CONFINE_H
#define BAILEY_KEEP_CONFINE_H

#include <stdbool.h>
#include <stdint.h>

/* The kernel's (sched_setattr(2)). */
struct keep_sched_attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

/* Plain data: it travels as it stands. */
struct keep_confine {
    struct keep_sched_attr sched; /* size 0: not set */
    int32_t ioprio;               /* as for ioprio_set(2); 0: not set */
    int32_t mempolicy;            /* mode with its flags, as for set_mempolicy(2); -1: not set */
    uint64_t mempolicy_nodes;     /* bit n is node n */
    int64_t personality;          /* -1: not set */
};

#define KEEP_CONFINE_INIT                                                                                    \
    {                                                                                                        \
        .mempolicy = -1, .personality = -1                                                                   \
    }

/* Sets all of it on the calling process. 0, or -errno with *what naming the field of config.json. */
int confine_apply(const struct keep_confine *c, const char **what);

#endif
