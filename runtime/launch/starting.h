/* From "created" to "running": startContainer hooks, the program, poststart hooks. */
#ifndef BAILEY_RUNTIME_STARTING_H
#define BAILEY_RUNTIME_STARTING_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"
#include "runtime/state/procid.h"

struct cgroup;
struct hooks;

struct starting {
    const struct hooks *hooks; /* NULL: there are none */
    int control_fd;            /* to the keep */
    struct procid keep, porter;
    bool strace;
    const struct cgroup *cgroup; /* where hooks inside the container are counted */
};

/* Where it fails the caller stops the container. */
int starting_run(const struct starting *s, struct err *e);

#endif
