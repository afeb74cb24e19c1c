/* From the configuration to what the keep is told. */
#ifndef BAILEY_RUNTIME_KEEP_BOOT_H
#define BAILEY_RUNTIME_KEEP_BOOT_H

#include "runtime/launch/launch.h"
#include "runtime/rootfs/rootfs.h"
#include "sandbox/keep/container/container.h"

struct keep_setup {
    struct keep_boot boot;
    struct rootfs rootfs;
};

/* In the process that becomes the keep, with the caller's rights: takes from the host what can not be reached
 * later, makes the container's tree, and fills boot (but for its sockets). userns: the container's user
 * namespace, or -1. What boot points to lives as long as the process. */
int keep_setup(const struct launch *l, int userns, int control, struct keep_setup *ret, struct err *e);

/* config.json's process as the keep wants it; descriptors are left to the caller. What it points to is the
 * config's. */
void keep_process_from(const struct oci_process *p, struct keep_process *kp);

#endif
