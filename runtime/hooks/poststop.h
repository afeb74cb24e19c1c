/* poststop hooks that are due. A file in the state directory says so from before a container's first hook
 * until they ran, so that they also run where the command that should have come to them was killed. */
#ifndef BAILEY_RUNTIME_POSTSTOP_H
#define BAILEY_RUNTIME_POSTSTOP_H

#include "runtime/hooks/hooks.h"

/* Notes that hooks are about to run, so that poststop is due. dir: the state directory, locked. */
int poststop_note(int dir, const struct hooks *h, struct err *e);

/* Runs them if they are due, when all else of the container is gone, and takes the note away. The lock is
 * held. known: the container's hooks, or NULL: they are read from what the state directory holds. What fails
 * is warned about. */
void poststop_run(int dir, const char *id, const struct hooks *known);

#endif
