#ifndef BAILEY_RUNTIME_REEXEC_H
#define BAILEY_RUNTIME_REEXEC_H

#include "common/err.h"

/* Makes sure that this process, and what it forks, cannot be used to change the program's file: whatever a
 * container may come to reach through /proc/PID/exe. The program is executed once more, by a read-only mount
 * of its own that no namespace holds; its pages are the file's, and so shared by all sandboxes. Where the
 * caller may not mount (rootless), or the file is in another mount namespace, by a sealed copy in memory.
 * runtime/launch/early.c has usually seen to it by now. For commands that fork what enters a container's
 * namespaces (struct command, enters), and before they have done anything. Returns 0 where it runs so
 * already; -1 with *e where it cannot be made. */
int reexec_sealed(char **argv, struct err *e);

#endif
