/* The signal that asks a container to end, and what its first process would do with it. */
#ifndef BAILEY_RUNTIME_STOPSIGNAL_H
#define BAILEY_RUNTIME_STOPSIGNAL_H

#include "runtime/commands/target.h"

/* What a container's state and events show under this name. */
#define STOPSIGNAL_MEMBER "dev.bailey.stopSignal"

/* Its number: the annotation org.opencontainers.image.stopSignal (a name or a number, as engines write it
 * from the image), else SIGTERM. */
int stopsignal_of(const struct record *r);

/* "SIGTERM", or "signal 35". */
struct stopsignal_name {
    char text[16];
};
struct stopsignal_name stopsignal_name(int sig);

/* What the container's first process does with sig:
 *   "handled"  it has a handler, or keeps the signal blocked, to take it by sigwait(3) or signalfd(2)
 *   "ignored"  it ignores it
 *   "default"  neither: as pid 1 it never gets it
 * NULL where that is not known: its program does not run, or the keep does not answer within two seconds. */
const char *stopsignal_disposition(const struct target *t, int sig);

#endif
