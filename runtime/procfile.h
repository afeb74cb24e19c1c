/* The host's own /proc: what is written there must reach procfs and nothing that lies over it. */
#ifndef BAILEY_RUNTIME_PROCFILE_H
#define BAILEY_RUNTIME_PROCFILE_H

#include <sys/types.h>

/* The host's /proc itself, checked, as a path descriptor; -errno. */
int procfile_root(void);

/* Opens NAME below /proc. Neither mounts below it nor links are followed, and what is there is checked to be
 * procfs (CVE-2025-52881 and its kin). A descriptor, or -errno. */
int procfile_open(const char *name, int flags);

/* The same of one process: NAME below /proc/PID. */
int procfile_open_of(pid_t pid, const char *name, int flags);

/* Writes text to it at once. 0 or -errno. */
int procfile_write(const char *name, const char *text);
int procfile_write_of(pid_t pid, const char *name, const char *text);

#endif
