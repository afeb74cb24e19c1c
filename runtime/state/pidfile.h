#ifndef BAILEY_RUNTIME_PIDFILE_H
#define BAILEY_RUNTIME_PIDFILE_H

#include <sys/types.h>

#include "common/err.h"

/* Writes pid to path so that who watches for the file never reads half of it. */
int pidfile_write(const char *path, pid_t pid, struct err *e);

#endif
