/* linux.netDevices: interfaces that move from the runtime's network namespace into the container's
 * (config-linux.md, "Network Devices"). */
#ifndef BAILEY_RUNTIME_NETDEV_H
#define BAILEY_RUNTIME_NETDEV_H

#include <stddef.h>

#include "common/err.h"
#include "oci/config.h"

/* In the runtime's namespace: looks at all of them first, then moves each under its new name to the namespace
 * of netns, where it gets back the global, permanent addresses that moving takes away, and is set up. The
 * caller is in that namespace afterwards. Nothing is moved back later. 0, or -1 with *e. */
int netdev_move(const struct oci_net_device *devices, size_t n, int netns, struct err *e);

#endif
