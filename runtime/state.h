/* A container's place on the host: the directory ROOT/ID. */
#ifndef BAILEY_RUNTIME_STATE_H
#define BAILEY_RUNTIME_STATE_H

#include "common/err.h"

struct state_dir {
    int root, dir; /* ROOT, and ROOT/ID; the lock on dir says that the container lives */
    const char *id;
};

#define STATE_DIR_INIT                                                                                       \
    {                                                                                                        \
        .root = -1, .dir = -1, .id = NULL                                                                    \
    }

/* 0 if id may name a container: letters, digits, "_+.-", neither "." nor "..", at most 1024 bytes (and a file
 * name of this host's, so 255 here). */
int state_check_id(const char *id, struct err *e);

/* Makes ROOT/ID, which no other container may have (ERR_EXISTS). What a killed `bailey run` left there is
 * taken over. id must outlive *s. Undone by state_remove. */
int state_create(const char *root, const char *id, struct state_dir *s, struct err *e);

/* Removes the directory and gives the id free. Does nothing on a state_dir that was not created. */
void state_remove(struct state_dir *s);

#endif
