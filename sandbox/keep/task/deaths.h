/* Guest processes that died natively: by a fault in their gates, or by the host's hand. */
#ifndef BAILEY_KEEP_DEATHS_H
#define BAILEY_KEEP_DEATHS_H

#include "sandbox/keep/kernel.h"

struct process;

/* A pidfd costs as much as a doorbell, and most processes end soon, by themselves: one is opened, and
 * watched, for those that have lived for a moment, and where the host is to send a signal. Who ends by the
 * host's hand before that is found then, and counts as killed. All of these but the first: tasklist_lock. */

/* Once. 0 or -errno. */
int deaths_init(void);
/* p has its host process, p->host_pid, which is known to be alive. */
void deaths_attached(struct process *p);
/* [T] p will have one, and need not say so (unheard.h): it is looked for when it is no longer young. */
void deaths_unheard(struct process *p);
/* Opens p->pidfd, where p has a host process. False: there is none. */
bool deaths_watch(struct process *p);
/* p's end is known. */
void deaths_forget(struct process *p);

/* kernel.deaths_fd is readable: ends for the keep what has ended on the host, as by the signal that did it
 * (Linux 6.15; before, by SIGKILL). Waits a moment for the host to reap. No lock held. */
void deaths_bury(void);

#endif
