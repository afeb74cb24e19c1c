/* The part of a launch that differs where the container joins a keep that runs: who would have become the
 * keep makes the container's tree, and hands it over. */
#ifndef BAILEY_RUNTIME_LAUNCH_JOIN_H
#define BAILEY_RUNTIME_LAUNCH_JOIN_H

#include "runtime/launch/keep_boot.h"
#include "runtime/launch/launch.h"

/* In that process before and after keep_setup (which takes the host's /proc away): notes what it needs of
 * /proc; then sends the container to the keep at the other end of l->pod_fd, with the porter's socket.
 * *self: for both, closed by the second. 0, or -1 with *e set. */
int launch_join_prepare(int *ret_self, struct err *e);
int launch_join_send(const struct launch *l, struct keep_setup *s, int porter_fd, int *self, struct err *e);

#endif
