/* signalfd(2): an eventfd that is readable while signals of the mask are pending for the process that uses
 * it. signalfd_notify (signal.h) is how the signal code tells of new ones. */
#ifndef BAILEY_KEEP_SIGNALFD_H
#define BAILEY_KEEP_SIGNALFD_H

#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/kernel.h"

/* If f is a signalfd: from now on it stands for the signals of t's process, which is about to wait for it. */
void signalfd_rebind(struct file *f, struct task *t);
/* f was read at t's number fd, by its call a. True: it is a signalfd, and t's gate may read such without the
 * keep, from now on or soon. In a call of t's; no lock held. */
bool signalfd_was_read(struct task *t, const struct sysargs *a, int fd, struct file *f);

#endif
