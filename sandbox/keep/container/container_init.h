/* A container from what the runtime hands over. */
#ifndef BAILEY_KEEP_CONTAINER_INIT_H
#define BAILEY_KEEP_CONTAINER_INIT_H

#include "common/err.h"
#include "sandbox/keep/container/container.h"

/* Fills a new container: its names, limits, mounts (root: its root directory, not taken over) and terminals.
 * b's listen_fd, status_fd and devpts_fd are taken over. The calling thread's root directory is the
 * container's. -1 with *e set: the caller puts it. */
int container_init(struct container *c, const struct keep_boot *b, int root, struct err *e);

/* What a container that joins is made from, beside its packed keep_boot: descriptors, in this order, and then
 * its program's. Last come those of CONTROL_CGROUP, of which there are as many as the message's value says.
 */
enum join_fd {
    JOIN_PORTER,
    JOIN_PROCESS, /* packed (spec.h) */
    JOIN_BOOT,    /* packed (boot_spec.h) */
    JOIN_ROOT,    /* O_PATH: its root directory */
    JOIN_MNTNS,   /* the mount namespace that this is in */
    JOIN_LISTEN,
    JOIN_STATUS,
    JOIN_DEVPTS,
    JOIN_STDIO, /* stdio or the terminal, then the others of spec_take_fds */
};

/* Makes a container in a keep that runs, with its program found and checked. Descriptors that were used are
 * -1 afterwards. Its reference is the kernel list's; container_end() is its end. NULL with *e set. */
struct container *container_join(int *fds, int cgroup_fds[CGROUP_FDS], struct err *e);

/* Ends all of it: its program, what came of that and of each exec. It is released when the last of them is
 * gone. Idempotent. In the control thread. */
void container_end(struct container *c);

#endif
