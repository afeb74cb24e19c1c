/* How a container comes to be: what `create` and `run` have in common. */
#ifndef BAILEY_RUNTIME_MAKING_H
#define BAILEY_RUNTIME_MAKING_H

#include <limits.h>

#include "runtime/cgroup/cgroup.h"
#include "runtime/commands/cmd.h"
#include "runtime/launch/confine.h"
#include "runtime/console.h"
#include "runtime/hooks/hooks.h"
#include "runtime/launch/launch.h"
#include "runtime/launch/lsm.h"
#include "runtime/commands/pod.h"
#include "runtime/state/record.h"
#include "runtime/seccomp/seccomp.h"
#include "runtime/state/state.h"

struct oci_config;

/* The options that both commands take. */
struct making_options {
    const char *bundle, *config, *pid_file, *console_socket, *pidfd_socket, *preserve_fds, *overlay;
    bool no_pivot, no_new_keyring, no_subreaper, detach, keep;
};

#define MAKING_OPTION_DEFS                                                                                   \
    {"bundle", 'b', "DIR", offsetof(struct making_options, bundle), "the directory with config.json (.)"},   \
        {"config", 'f', "FILE", offsetof(struct making_options, config),                                     \
         "the configuration, where it is not config.json in the bundle"},                                    \
        {"pid-file", 0, "FILE", offsetof(struct making_options, pid_file),                                   \
         "write the host pid that stands for the container to FILE"},                                        \
        {"console-socket", 0, "SOCKET", offsetof(struct making_options, console_socket),                     \
         "send the terminal's master to this unix socket"},                                                  \
        {"pidfd-socket", 0, "SOCKET", offsetof(struct making_options, pidfd_socket),                         \
         "send a pidfd of the process that stands for the container to this unix socket"},                   \
        {"preserve-fds", 0, "N", offsetof(struct making_options, preserve_fds),                              \
         "pass N more descriptors to the program, from 3 on (0)"},                                           \
        {"overlay", 0, "none|memory", offsetof(struct making_options, overlay),                              \
         "memory: what is written to the root stays in memory, and goes with the container (none)"},         \
        {"no-pivot", 0, NULL, offsetof(struct making_options, no_pivot),                                     \
         "no effect: the program never sees the host's root, pivoted or not"},                               \
        {"no-new-keyring", 0, NULL, offsetof(struct making_options, no_new_keyring),                         \
         "no effect: there are no keyrings inside, and the caller's can not be reached"},                    \
        {"no-subreaper", 0, NULL, offsetof(struct making_options, no_subreaper),                             \
         "no effect: bailey is no subreaper, the porter reaps"},                                             \
    {                                                                                                        \
        NULL, 0, NULL, 0, NULL                                                                               \
    }

struct making {
    const struct globals *g;
    struct making_options o;
    const char *id;
    bool starts;     /* it is to run at once */
    bool foreground; /* the caller stays, and removes it */
    char bundle[PATH_MAX], rootfs[PATH_MAX], created[40], owner[64];
    struct oci_config *config;
    struct seccomp_profile seccomp;
    struct keep_confine confine;
    struct guest_label label;
    struct state_dir state;
    struct cgroup cgroup;
    struct record record;
    struct console console;
    struct launch launch;
    struct hooks hooks;
    struct pod pod;
    int listen, exit_file;
    int more, notify; /* for the program: runtime/launch/passed.h */
    int signals;      /* signalfd with all that can be forwarded */
    unsigned done;    /* how many steps were, and would have to be undone */
};

#define MAKING_INIT(globals)                                                                                 \
    {                                                                                                        \
        .g = (globals), .state = STATE_DIR_INIT, .console = CONSOLE_INIT, .listen = -1, .exit_file = -1,     \
        .more = -1, .notify = -1, .signals = -1, .label = GUEST_LABEL_INIT, .pod = POD_INIT, .launch = {     \
            .control_fd = -1,                                                                                \
            .listen_fd = -1,                                                                                 \
            .pod_fd = -1,                                                                                    \
            .status_fd = -1                                                                                  \
        }                                                                                                    \
    }

/* Options and the id. 0; 1 where help was asked for, and given; -1 with *e. */
int making_arguments(struct making *m, const struct command *c, char **argv, struct err *e);

/* Everything up to the state "created", still locked. On failure all of it is undone. */
int making_create(struct making *m, struct err *e);

/* Runs the poststop hooks if they are due, after everything else is gone but the state directory. */
void making_poststop(struct making *m);

/* Undoes what was done, after a later failure: the container is gone then. */
void making_undo(struct making *m);

/* Lets the program run (it is written down); the lock is kept. */
int making_start(struct making *m, struct err *e);

/* Closes what is open; the container stays as it is. */
void making_release(struct making *m);

#endif
