#ifndef BAILEY_RUNTIME_REEXEC_H
#define BAILEY_RUNTIME_REEXEC_H

#include "common/err.h"

/* Makes sure that this process runs from a sealed copy of its program in memory, by executing that once:
 * whatever a container reaches through /proc/PID/exe, it is not the file on the host, and it cannot be
 * changed. Returns 0 in the copy; -1 with *e where it cannot be made. */
int reexec_sealed(char **argv, struct err *e);

#endif
