/* What is written down about a container: ROOT/ID/state.json. */
#ifndef BAILEY_RUNTIME_RECORD_H
#define BAILEY_RUNTIME_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "runtime/state/procid.h"

struct arena;
struct oci_pair;

enum status { STATUS_CREATING, STATUS_CREATED, STATUS_RUNNING, STATUS_PAUSED, STATUS_STOPPED };

/* The specification's word for it. */
const char *status_name(enum status s);

struct record {
    const char *version, *id, *bundle, *rootfs; /* version: the specification's; paths are absolute */
    const char *created;                        /* RFC 3339 */
    const char *owner;                          /* the user who made it, by name or number */
    const char *
        sandbox; /* the container whose keep this one joined (runtime/commands/pod.h); NULL: it has its own */
    struct procid porter, keep;
    enum status status; /* as last written; see target_status */
    bool foreground;    /* a `bailey run` stands before it and removes it */
    bool hooks;         /* config.json has some, and those of poststop have not run */
    const struct oci_pair *annotations;
    size_t nannotations;
    struct arena *arena; /* of a record that was loaded: owns what it points to */
};

/* Writes state.json in the directory, whole or not at all. */
int record_save(const struct record *r, int dir, struct err *e);

/* Reads it. ERR_NO_CONTAINER: there is none. *ret is the caller's, for record_release. */
int record_load(int dir, const char *id, struct record *ret, struct err *e);
void record_release(struct record *r);

/* The state as the specification shows it (statejson.h), with the given status. exit_status: -1, or shown;
 * stop_signal: NULL, or shown (stopsignal.h).
 * malloc'ed text, NULL where memory is out or a name is not UTF-8. */
char *record_state_json(const struct record *r, enum status s, pid_t pid, int exit_status,
                        const char *stop_signal);

#endif
