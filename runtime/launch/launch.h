/* Starting a sandbox, and programs in it: the keep, and a porter for each. */
#ifndef BAILEY_RUNTIME_LAUNCH_H
#define BAILEY_RUNTIME_LAUNCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"
#include "runtime/launch/userns.h"

struct cgroup;
struct oci_config;
struct oci_process;
struct guest_label;
struct keep_confine;
struct seccomp_profile;

/* Called while a sandbox is made; NULL: nothing to do. 0, or -1 with *e set: the sandbox is taken down again.
 */
struct launch_steps {
    void *arg;
    /* In the runtime, with the porter in its namespaces and nothing else done: its cgroup. */
    int (*porter_made)(void *arg, pid_t porter, struct err *e);
    /* In the runtime, mounts made, before pivot_root: prestart and createRuntime hooks. */
    int (*mounted)(void *arg, pid_t porter, struct err *e);
    /* In the process that becomes the keep, in the container's namespaces (but for pid), before pivot_root:
     * createContainer hooks. porter's pid as the host has it. */
    int (*before_pivot)(void *arg, pid_t porter, struct err *e);
};

struct launch {
    /* in */
    const struct oci_config *config;
    const char *id, *bundle; /* bundle: absolute */
    int stdio[3];            /* the container's, when it has no terminal */
    int tty_slave;           /* the host pty's slave with process.terminal, else -1 */
    int more_fd;             /* a bag (platform/fdbag.h) of what the program gets from 3 on, or -1 */
    int notify_fd;           /* connected to NOTIFY_SOCKET, or -1 */
    int listen_fd;           /* a listening unix SOCK_SEQPACKET for later commands, or -1 */
    int pod_fd;              /* connected to the keep that the container is to join, or -1: it gets its own */
    bool pod;                /* it gets its own, and others may join */
    int status_fd;           /* a file that the keep writes the exit status to, or -1 */
    const struct seccomp_profile *seccomp; /* seccomp.h; NULL: none */
    const struct keep_confine *confine;    /* confine.h; NULL: nothing */
    const struct guest_label *label;       /* lsm.h; NULL: none */
    bool strace, debug, lanes_off;
    bool overlay;    /* writes to the root stay in memory */
    bool foreground; /* the container ends with its caller, even where that is killed */
    struct launch_steps steps;
    const struct cgroup *cgroup; /* which steps.porter_made puts the porter into */
    /* out */
    pid_t keep, porter;    /* keep: in, with pod_fd */
    pid_t tree;            /* who made the container's tree: the keep, or a child that ended since */
    struct userns_ids ids; /* of the container's own user namespace; all zero where it has none */
    bool rootless;         /* the caller can do nothing outside that namespace */
    int control_fd;        /* to the keep; the caller closes it */
    int seccomp_fd;        /* for the agent, where seccomp->notify is set; else -1. The caller closes it */
};

/* The caller has all signals blocked but SIGCHLD and those of faults (it reads them from a signalfd): a child
 * sets the mask that it needs itself.
 *
 * Makes the sandbox with the program found, checked and ready, but not run: the container is "created". Needs
 * root (in its user namespace), or a config with a user namespace that the caller may map. On failure nothing
 * is left behind. */
int launch_sandbox(struct launch *l, struct err *e);

/* What was made on that connection, the container or the program of an exec, may outlive its maker from here
 * on; before that it ends with the socket. */
int launch_detach(int control_fd, struct err *e);

/* Lets the program run; control_fd is the launch's, or a connection to its listen_fd. Returns once it was
 * loaded. */
int launch_start(int control_fd, struct err *e);

/* Waits for the porter (and reaps the keep): the program's exit status, or 128 + signal. -1 with *e set: it
 * cannot be known. */
int launch_wait(struct launch *l, struct err *e);

/* One more program in a sandbox that runs. */
struct launch_exec {
    /* in */
    const struct oci_process *process;
    int control_fd; /* connected to the keep's listen_fd */
    pid_t keep;     /* known to be that keep while keep_fd, its pidfd, says that it lives */
    int keep_fd;
    int porter_fd;                         /* a pidfd of the container's: whose namespaces are joined */
    int stdio[3], tty_slave, more_fd;      /* as in struct launch */
    const struct seccomp_profile *seccomp; /* the container's; NULL: none, as for hooks */
    const struct keep_confine *confine;    /* as in struct launch */
    const struct guest_label *label;
    bool strace;
    bool foreground;             /* the program ends with its caller, even where that is killed */
    const struct cgroup *cgroup; /* where the porter may be born; NULL: porter_made sees to it all */
    const char *hook; /* not NULL: a hook, to be run before the container's program, and its path */
    void *arg;
    int (*porter_made)(void *arg, pid_t porter, struct err *e);
    /* With the seccomp agent's listener (-1: there is none), before the program runs; NULL: nothing to do. */
    int (*listener_made)(void *arg, pid_t porter, int fd, struct err *e);
    /* out */
    pid_t exec_porter; /* a child of the caller's */
    int seccomp_fd;    /* as in struct launch */
};

/* Returns once the program was loaded. 0, or -1 with *e set and nothing left behind. */
int launch_exec(struct launch_exec *x, struct err *e);

#endif
