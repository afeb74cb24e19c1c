/* What the keep gets of the container's control groups. */
#ifndef BAILEY_RUNTIME_CGROUP_VIEW_H
#define BAILEY_RUNTIME_CGROUP_VIEW_H

#include "runtime/cgroup/cgroup.h"
#include "sandbox/platform/messages.h"

struct oci_config;

/* Sends the keep, as CONTROL_CGROUP, the /proc/PID/cgroup of a porter that is in the container's cgroups and
 * a directory of each. They are detached mounts, so that whoever has one has no way up or out, read-only
 * unless config.json mounts the cgroup read-write. With a cgroup namespace in config.json paths are as from
 * inside. 0, or -1 with *e. */
int cgroup_view_send(int sock, const struct cgroup *cg, const struct oci_config *c, pid_t porter,
                     struct err *e);

#endif
