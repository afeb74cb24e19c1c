/* pidfds: an eventfd that becomes readable when the process ends (pidfd_notify in signal.h). */
#ifndef BAILEY_KEEP_PIDFD_H
#define BAILEY_KEEP_PIDFD_H

#include "sandbox/keep/kernel.h"

/* A new close-on-exec descriptor of t for p; flags: O_NONBLOCK or 0. Returns its number, or -errno.
 * tasklist_lock not held. */
int pidfd_install(struct task *t, struct process *p, unsigned flags);
/* The process behind t's descriptor fd, with a reference; NULL with -EBADF in *err. *nonblock (may be NULL):
 * O_NONBLOCK. */
struct process *pidfd_process(struct task *t, int fd, bool *nonblock, int *err);
/* The same, or by an open directory of /proc/PID. */
struct process *pidfd_or_dir_process(struct task *t, int fd, int *err);

/* [T] What ptrace asks before it lets one look into another: the same user and no more capabilities, or
 * CAP_SYS_PTRACE. */
bool may_look_into(struct task *t, const struct task *other);

#endif
