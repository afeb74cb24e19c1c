/* Guest processes that died natively: by a fault in their gates, or by the host's hand. */
#ifndef BAILEY_KEEP_DEATHS_H
#define BAILEY_KEEP_DEATHS_H

#include "sandbox/keep/kernel.h"

/* kernel.deaths_fd is readable: ends for the keep what has ended on the host, as by the signal that did it
 * (Linux 6.15; before, by SIGKILL). Waits a moment for the host to reap. No lock held. */
void deaths_bury(void);

#endif
