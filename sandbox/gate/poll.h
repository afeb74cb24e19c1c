/* poll(2) and ppoll(2) of lanes, by an epoll descriptor that the keep lends to the thread
 * (sandbox/keep/lanes/fast_poll.c). */
#ifndef BAILEY_GATE_POLL_H
#define BAILEY_GATE_POLL_H

#include <stdint.h>

/* The call of thread number `thread` with these arguments, if it is of few descriptors, all of them lanes.
 * Its result, or MAILBOX_RING: the keep is to make it. changes: gate_later.changes, from before the call.
 * Nothing of it is lost if a signal ends it anywhere; *waits is 1 while the thread is in the host's wait.
 * Part of .text.mailbox. */
int64_t poll_lanes(unsigned thread, int is_ppoll, const uint64_t *arg, uint32_t changes, uint32_t *waits);
/* The parent's descriptors are not ours. */
void poll_after_fork(void);

#endif
