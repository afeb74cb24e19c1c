/* /proc: what of it the rest of the keep has to know. */
#ifndef BAILEY_KEEP_PROCFS_H
#define BAILEY_KEEP_PROCFS_H

#include "sandbox/keep/kernel.h"

struct keep_boot;

/* Reads what /proc is to tell of the host (cpuinfo, meminfo) while the host's /proc can still be reached:
 * called in the process that becomes the keep, before it leaves the host's mounts. Makes kernel.procfs. 0 or
 * -errno. */
int procfs_snapshot(void);

/* Sets limits and sysctls by *b, which stays the caller's and must live on. Called by keep_main once, before
 * any guest runs; makes kernel.procfs if there is none. 0, -ENOMEM, or -EINVAL for a sysctl that does not
 * exist or has a wrong value (logged). */
int procfs_init(const struct keep_boot *b);

/* The CPUs that guests see: keep_boot's cpu_count, or the host's. At least 1. */
unsigned procfs_cpus(void);

/* The (first) number of a sysctl, by its path below /proc/sys. 0, or -ENOENT. */
int procfs_sysctl(const char *path, long *ret);

#endif
