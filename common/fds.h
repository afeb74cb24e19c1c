/* Descriptors of a process that is about to be confined. */
#ifndef BAILEY_COMMON_FDS_H
#define BAILEY_COMMON_FDS_H

#include <stdbool.h>

/* Closes every descriptor above 2 but those n (at most 32) in keep; negative ones are skipped. 0 or -errno.
 */
int fds_close_others(const int *keep, unsigned n);

/* Puts an empty input in the place of descriptors 0 to 2 (of 0 and 1 only, with keep_stderr): for a process
 * that stays when whoever reads our output waits for its end. 0 or -errno. */
int fds_forget_stdio(bool keep_stderr);

#endif
