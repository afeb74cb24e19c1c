/* Character devices of the keep: what a device node with a given number opens. */
#ifndef BAILEY_KEEP_CHRDEV_H
#define BAILEY_KEEP_CHRDEV_H

#include "sandbox/keep/kernel.h"

/* Opens device rdev (null, zero, full, random, urandom, tty, console, ptmx). 0 with *ret; -ENXIO: no such driver. */
int chrdev_open(struct task *t, dev_t rdev, int flags, struct file **ret);

#endif
