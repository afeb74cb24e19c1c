/* A process by its pid and the time of its start: together they name one process for ever. */
#ifndef BAILEY_RUNTIME_PROCID_H
#define BAILEY_RUNTIME_PROCID_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct procid {
    pid_t pid;
    uint64_t start; /* field 22 of /proc/PID/stat; a pid is used again, the pair is not */
};

/* Fills *ret for a process that lives. 0, or -1 with errno. */
int procid_of(pid_t pid, struct procid *ret);

/* A pidfd of that very process, while it lives; the caller closes it. -1 (ESRCH) if it is gone: a zombie is.
 */
int procid_open(const struct procid *p);

/* Waits until the process behind pidfd has ended, at most ms milliseconds (-1: for ever). True: it has. */
bool procid_wait(int pidfd, int ms);

#endif
