/* The OCI hooks of a container, kind by kind, at the points of its life that the specification gives them.
 *
 * create:  hooks_creating (launch_steps.mounted), hooks_before_pivot (launch_steps.before_pivot)
 * start:   hooks_start_container, launch_start, hooks_poststart
 * delete:  hooks_poststop
 *
 * Where one of the first four fails, the caller stops the container and goes on with hooks_poststop, once
 * hooks_creating has begun. */
#ifndef BAILEY_RUNTIME_HOOKS_H
#define BAILEY_RUNTIME_HOOKS_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "common/err.h"
#include "oci/config.h"

struct launch_exec;

struct hooks {
    const struct oci_config *config;
    const char *id, *bundle; /* bundle: absolute */
    /* The caller's, which hooks get back wherever they run. */
    mode_t umask;
    struct rlimit nofile, fsize;
};

/* Takes note of what the caller's process has. The pointers must outlive *h. */
void hooks_init(struct hooks *h, const struct oci_config *config, const char *id, const char *bundle);

/* prestart, then createRuntime; porter: the container's pid on the host. */
int hooks_creating(const struct hooks *h, pid_t porter, struct err *e);

/* createContainer, in the process that becomes the keep: the hooks run in its mount namespace and in the
 * porter's others. */
int hooks_before_pivot(const struct hooks *h, pid_t porter, struct err *e);

/* startContainer: each is a guest in the sandbox, before its program runs. sandbox: control_fd, keep, porter,
 * strace and porter_made as for launch_exec; the rest is filled in here. */
int hooks_start_container(const struct hooks *h, const struct launch_exec *sandbox, struct err *e);

/* poststart, after launch_start. */
int hooks_poststart(const struct hooks *h, pid_t porter, struct err *e);

/* poststop, after all of the container is gone: what fails is warned about, and the next one runs. */
void hooks_poststop(const struct hooks *h);

#endif
