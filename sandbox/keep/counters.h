/* How often each system call came to the keep, and what that took: for `bailey debug counters`. */
#ifndef BAILEY_KEEP_COUNTERS_H
#define BAILEY_KEEP_COUNTERS_H

#include "sandbox/keep/kernel.h"

struct container;

int counters_init(void); /* once; 0 or -ENOMEM */
/* Whether calls are to be timed: from the first time that somebody asks. */
bool counters_timed(void);
/* Number nr was answered by r; start: when it came, or zero where it was not timed. */
void counters_count(int nr, long r, const struct timespec *start);

/* Writes them to fd as text, a line each: "timed 0|1"; "gate ANSWERED TRANSFERS" (by the threads of c that
 * live); and for every call that came at least once "call NAME CALLS CONTINUED NANOSECONDS". Switches timing
 * on. 0 or -errno. */
int counters_write(const struct container *c, int fd);

/* n calls that the keep was told of when they were over. */
void counters_posted(int nr, unsigned n);

#endif
