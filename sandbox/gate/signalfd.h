/* read(2) of a signalfd by the gate. The host's descriptor at its number is an event descriptor whose value
 * is a token: whoever reads it has taken the signal that is described beside it (struct gate_later;
 * sandbox/keep/signal/signalfd.c has the rules). Any other value, or none, is for the keep. */
#ifndef BAILEY_GATE_SIGNALFD_H
#define BAILEY_GATE_SIGNALFD_H

#include <asm/unistd.h>

#include "sandbox/gate/mailbox.h"

/* Call nr with these arguments is such a read, and one signal at least has room. */
static inline __attribute__((always_inline)) int signalfd_is(const struct gate_later *l, uint64_t nr,
                                                             const uint64_t *arg)
{
    uint32_t at = __atomic_load_n(&l->signalfd, __ATOMIC_ACQUIRE);

    return nr == __NR_read && at && arg[0] == at - 1 && arg[2] >= SIGNALFD_INFO;
}

/* The host has given n bytes, and they are a token. */
static inline __attribute__((always_inline)) int signalfd_has(int64_t n, uint64_t token)
{
    return n == sizeof(token) && token - SIGNALFD_TOKEN < 2;
}

#endif
