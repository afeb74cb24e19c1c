/* Starting a sandbox: the keep and the porter of one container. */
#ifndef BAILEY_RUNTIME_LAUNCH_H
#define BAILEY_RUNTIME_LAUNCH_H

#include <sys/types.h>

#include "common/err.h"

struct oci_config;

struct launch {
    /* in */
    const struct oci_config *config;
    const char *id, *bundle; /* bundle: absolute */
    int stdio[3];            /* the container's, when it has no terminal */
    int tty_slave;           /* the host pty's slave with process.terminal, else -1 */
    bool strace, debug;
    bool foreground; /* the container ends with its caller, even where that is killed */
    /* out */
    pid_t keep, porter;
    int control_fd; /* to the keep; the caller closes it */
};

/* The caller has all signals blocked but SIGCHLD and those of faults (it reads them from a signalfd): a child
 * sets the mask that it needs itself.
 *
 * Makes the sandbox with the program found, checked and ready, but not run: the container is "created". Needs
 * root (in its user namespace). On failure nothing is left behind. */
int launch_sandbox(struct launch *l, struct err *e);

/* Lets the program run. */
int launch_start(struct launch *l, struct err *e);

/* Waits for the porter (and reaps the keep): the program's exit status, or 128 + signal. -1 with *e set: it
 * cannot be known. */
int launch_wait(struct launch *l, struct err *e);

#endif
