#ifndef BAILEY_RUNTIME_KERNEL_H
#define BAILEY_RUNTIME_KERNEL_H

#include "common/err.h"

/* Checks that this kernel has what a sandbox needs: 0, or -1 with the missing feature and the Linux version
 * that brought it (ERR_UNSUPPORTED). Costs a few system calls that do nothing. */
int kernel_check(struct err *e);

#endif
