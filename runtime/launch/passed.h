/* What a container's program gets from the caller of the runtime beside stdio: the descriptors of
 * --preserve-fds and of socket activation (sd_listen_fds(3)), and a way to say that it is ready
 * (sd_notify(3)). */
#ifndef BAILEY_RUNTIME_PASSED_H
#define BAILEY_RUNTIME_PASSED_H

#include <stdbool.h>

#include "common/err.h"

struct oci_config;

/* At the program's start: how many descriptors are open from 3 on without a gap. All others above 2 are
 * closed, and these are not inherited by what is executed. */
unsigned passed_inherited(void);

/* Where a command has no use for them. */
void passed_close(unsigned inherited);

/* Packs the first N of those, N the option's text (NULL: 0), and before them LISTEN_FDS with listen set: *ret
 * is a bag (platform/fdbag.h), -1 if there are none. *ret_listen: how many LISTEN_FDS are (may be NULL). The
 * inherited ones are closed here. Directories are refused: a guest could leave its root by them. */
int passed_collect(unsigned inherited, const char *preserve_fds, unsigned *ret_listen, int *ret,
                   struct err *e);

/* A socket connected to NOTIFY_SOCKET; -1: there is none, or (with a warning) nobody listens. */
int passed_notify(void);

/* Tells the program by its environment. */
void passed_announce(struct oci_config *c, unsigned listen, bool notify);

#endif
