/* SCMP_ACT_NOTIFY: the agent at linux.seccomp.listenerPath gets a listener from outside the container, so
 * that no rule of the profile can get in its way (OCI config-linux.md, "Seccomp", runtime-linux.md "The
 * container process state"). */
#ifndef BAILEY_RUNTIME_SECCOMP_AGENT_H
#define BAILEY_RUNTIME_SECCOMP_AGENT_H

#include <sys/types.h>

#include "common/err.h"

struct oci_config;
struct seccomp_profile;

/* Where the profile notifies: a pair on which the porter hands over the listener; else both stay -1. p may be
 * NULL. */
int agent_link(const struct seccomp_profile *p, int link[2], struct err *e);

/* The listener, from the runtime's end of it (-1: none, and so the answer). -1 with *e set only where there
 * is a link. */
int agent_take(int link, struct err *e);

struct agent_process {
    const char *id, *bundle, *status;
    pid_t container, process; /* their porters */
};

/* Sends containerProcessState and the listener. fd -1: nothing to do. */
int agent_inform(const struct oci_config *c, const struct agent_process *p, int fd, struct err *e);

#endif
