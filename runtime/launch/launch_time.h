/* Time namespaces (time_namespaces(7)): porter, keep and guests are born in the container's. */
#ifndef BAILEY_RUNTIME_LAUNCH_TIME_H
#define BAILEY_RUNTIME_LAUNCH_TIME_H

#include "common/err.h"

struct oci_config;

/* From now on the caller's children are born in the container's time namespace. *ret: what launch_time_end
 * wants; -1 where the config asks for none. 0, or -1 with *e. */
int launch_time_begin(const struct oci_config *c, int *ret, struct err *e);
/* The caller's own again. */
void launch_time_end(int *own);

#endif
