/* poll(2), gone on with. */
#ifndef BAILEY_KEEP_POLL_H
#define BAILEY_KEEP_POLL_H

#include "sandbox/keep/kernel.h"

/* For restart_syscall: the poll with a's arguments, until the time that it was to end at first (t->again). */
long poll_on(struct task *t, const struct sysargs *a);

#endif
