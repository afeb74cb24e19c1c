/* What the keep gets of the container's control groups. */
#ifndef BAILEY_RUNTIME_CGROUP_VIEW_H
#define BAILEY_RUNTIME_CGROUP_VIEW_H

#include "runtime/cgroup.h"
#include "sandbox/platform/messages.h"

struct oci_config;

struct cgroup_view {
    int fds[CGROUP_FDS]; /* as CONTROL_CGROUP wants them: the text, then a directory each; -1: none */
    unsigned n;
};

/* Fills *v by the /proc/PID/cgroup of a porter that is in the container's cgroups. The directories are
 * detached mounts, so that whoever has one has no way up or out, read-only unless config.json mounts the
 * cgroup read-write. With a cgroup namespace in config.json paths are as from inside. To be closed by
 * cgroup_view_close, on failure too. */
int cgroup_view_open(const struct cgroup *cg, const struct oci_config *c, pid_t porter, struct cgroup_view *v,
                     struct err *e);
void cgroup_view_close(struct cgroup_view *v);

/* Opens, sends as CONTROL_CGROUP, closes. */
int cgroup_view_send(int sock, const struct cgroup *cg, const struct oci_config *c, pid_t porter,
                     struct err *e);

#endif
