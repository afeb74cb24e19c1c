/* Descriptors of a process that is about to be confined. */
#ifndef BAILEY_COMMON_FDS_H
#define BAILEY_COMMON_FDS_H

/* Closes every descriptor above 2 but those n (at most 32) in keep; negative ones are skipped. 0 or -errno.
 */
int fds_close_others(const int *keep, unsigned n);

#endif
