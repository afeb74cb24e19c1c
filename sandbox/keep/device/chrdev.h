/* Character devices of the keep: what a device node with a given number opens. */
#ifndef BAILEY_KEEP_CHRDEV_H
#define BAILEY_KEEP_CHRDEV_H

#include "sandbox/keep/kernel.h"

/* Takes hold of the host's /dev/zero, for mappings of the guest's; to be called while the host's /dev (or the
 * container's own, with real nodes) can still be reached. Without it those mappings fail with ENODEV, all
 * else works. */
void chrdev_init(void);

/* Opens device rdev (null, zero, full, random, urandom, kmsg, tty, console, ptmx, or one of the host's that
 * the container has). 0 with *ret; -ENXIO: no such driver. */
int chrdev_open(struct task *t, dev_t rdev, int flags, struct file **ret);
/* What splice(2) sends to f goes nowhere: the device is null, random or urandom. */
bool chrdev_swallows(const struct file *f);

#endif
