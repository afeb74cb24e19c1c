/* A container's place on the host: the directory ROOT/ID, and the lock on it. */
#ifndef BAILEY_RUNTIME_STATE_H
#define BAILEY_RUNTIME_STATE_H

#include <stdbool.h>

#include "common/err.h"

struct state_dir {
    int root, dir; /* ROOT, and ROOT/ID; who changes something holds the lock on dir */
    const char *id;
};

#define STATE_DIR_INIT                                                                                       \
    {                                                                                                        \
        .root = -1, .dir = -1, .id = NULL                                                                    \
    }

/* 0 if id may name a container: letters, digits, "_+.-", neither "." nor "..", at most 1024 bytes (and a file
 * name of this host's, so 255 here). */
int state_check_id(const char *id, struct err *e);

/* Makes ROOT/ID, locked, which no other container may have (ERR_EXISTS). What a killed command left there is
 * taken over, with its files. id must outlive *s. Undone by state_remove or state_close. */
int state_create(const char *root, const char *id, struct state_dir *s, struct err *e);

/* Opens an existing one, unlocked. ERR_NO_CONTAINER: "container ID does not exist". */
int state_open(const char *root, const char *id, struct state_dir *s, struct err *e);

/* Waits for the lock. ERR_NO_CONTAINER if the container was removed meanwhile. */
int state_lock(struct state_dir *s, struct err *e);
void state_unlock(struct state_dir *s);

/* Removes all files in it. The lock must be held. */
void state_empty(const struct state_dir *s);

/* Removes the directory with what is in it, gives the id free and closes. The lock must be held; does nothing
 * on one that is not open, or was removed by somebody else. */
void state_remove(struct state_dir *s);

/* Closes what is open, and so gives the lock back; what is there stays. */
void state_close(struct state_dir *s);

#endif
