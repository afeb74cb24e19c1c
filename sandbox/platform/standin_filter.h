/* The filter of the stand-in (sandbox/gate/standin.h) and its children. */
#ifndef BAILEY_PLATFORM_STANDIN_FILTER_H
#define BAILEY_PLATFORM_STANDIN_FILTER_H

#include <stdbool.h>

/* Puts it on the calling process. Calls from STANDIN_IP are the agent's, whatever their number; the
 * stand-in's own few are allowed, all others end it. killable: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV. The
 * listener, or -1 with errno. */
int standin_filter_install(bool killable);

#endif
