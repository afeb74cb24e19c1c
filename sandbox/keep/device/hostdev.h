/* Devices of the host that config.json gives to a container: their bytes are the driver's, and those requests
 * whose argument is known to lie flat in memory. */
#ifndef BAILEY_KEEP_HOSTDEV_H
#define BAILEY_KEEP_HOSTDEV_H

#include <stdio.h>
#include <sys/sysmacros.h>

#include "sandbox/keep/kernel.h"

#define HOSTDEV_NAME 32

/* What a device is called in the container's directory of them (CONTROL_DEVICES). type: 'b' or 'c'. */
static inline void hostdev_name(char name[HOSTDEV_NAME], char type, dev_t dev)
{
    (void)snprintf(name, HOSTDEV_NAME, "%c%u:%u", type, major(dev), minor(dev));
}

/* Opens device dev of the host for t; who may open the node was checked. 0 with *ret; -ENXIO: the container
 * has not got it; -EPERM: its linux.resources.devices forbids that; the driver's own -errno. */
int hostdev_open(struct task *t, char type, dev_t dev, int flags, struct file **ret);

#endif
