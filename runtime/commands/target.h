/* The container that a command is about. */
#ifndef BAILEY_RUNTIME_TARGET_H
#define BAILEY_RUNTIME_TARGET_H

#include "runtime/commands/cmd.h"
#include "runtime/hooks/hooks.h"
#include "runtime/state/record.h"
#include "runtime/state/state.h"

struct oci_config;

struct target {
    struct state_dir dir;
    struct record rec;
    int porter;                /* its pidfd; -1: it has ended */
    struct oci_config *config; /* NULL before target_load_config */
    struct hooks hooks;        /* after target_load_hooks */
};

#define TARGET_INIT                                                                                          \
    {                                                                                                        \
        .dir = STATE_DIR_INIT, .porter = -1                                                                  \
    }

/* Finds the container. lock: nobody else changes it until target_close; commands that only look do without,
 * so that they answer while another one works (the state is replaced as a whole). ERR_NO_CONTAINER:
 * "container ID does not exist". id must outlive *t. */
int target_open(const struct globals *g, const char *id, bool lock, struct target *t, struct err *e);
void target_close(struct target *t);

/* How it is now: stopped as soon as its porter has ended (a zombie has); whether it was started, the keep
 * knows. */
enum status target_status(const struct target *t);

/* Takes away the cgroups of a container whose `run` was killed, and which has ended with that: nobody else
 * would before the id is used again. Never waits. s: what target_status said. */
void target_tidy(const struct target *t, enum status s);

/* A connection to its keep, for requests of sandbox/platform/messages.h. ERR_NOT_RUNNING "container not
 * running" where none listens. The caller closes it. */
int target_connect(const struct target *t, struct err *e);

/* A request of that type (enum control_type) with a value, to be answered by DONE. 0 or -1 with *e:
 * ERR_NOT_RUNNING, too, where the keep ends meanwhile. */
int target_request(const struct target *t, uint32_t type, int value, struct err *e);

/* Asks the keep, by a request of that type (enum control_type), for what it answers in a file. The file's
 * descriptor, which the caller closes; -1 with *e. */
int target_ask_file(const struct target *t, uint32_t type, struct err *e);

/* The exit status of its program (128 + signal), as far as the keep could tell before it ended; else -1. */
int target_exit_status(const struct target *t);

/* Sends a signal to its first process, by the keep; SIGKILL to the porter, whose end no guest can put off.
 * ERR_NOT_RUNNING "container not running". */
int target_signal(const struct target *t, int sig, struct err *e);

/* Reads the configuration that it was made from. */
int target_load_config(struct target *t, struct err *e);

/* The same where it has hooks, and fills t->hooks: *ret points to them, or is NULL. */
int target_load_hooks(struct target *t, const struct hooks **ret, struct err *e);

/* Kills what is in the cgroups of a container that has ended, and did not end with it. */
int target_kill_rest(const struct target *t, struct err *e);

/* Ends it by force, paused or not, and waits for porter and keep. */
int target_end(struct target *t, struct err *e);

/* The same where its record is not known (t->dir is open): by the socket of its keep, and by its cgroups. */
int target_end_unknown(const struct target *t, struct err *e);

#endif
