/* --overlay=memory: what the container writes into its root stays in memory, and goes with it. */
#ifndef BAILEY_RUNTIME_OVERLAY_H
#define BAILEY_RUNTIME_OVERLAY_H

#include "runtime/rootfs/mounts.h"

/* A detached overlayfs over the directory dir (O_PATH), which itself is only read. Its upper layer is a tmpfs
 * of at most the container's memory limit, which is attached over dir in this mount namespace, a private one.
 * Returns its descriptor; -1 with *e. */
int overlay_in_memory(const struct tree *t, int dir, struct err *e);

#endif
