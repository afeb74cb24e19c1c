/* A descriptor for who asked for it: over a unix stream socket with SCM_RIGHTS, as runc does. */
#ifndef BAILEY_RUNTIME_SENDFD_H
#define BAILEY_RUNTIME_SENDFD_H

#include <sys/types.h>

#include "common/err.h"

/* Connects to the socket at path and sends fd, with name as the message's bytes. option: which one named the
 * socket, for messages. */
int sendfd(const char *option, const char *path, const char *name, int fd, struct err *e);

/* The same, with what names the socket as messages are to have it. */
int sendfd_to(const char *what, const char *path, const char *name, int fd, struct err *e);

/* --pidfd-socket: a pidfd of the process; NULL path: nothing to do. name: runc's "standard" for a container's
 * program, "setns" for an exec's. */
int sendfd_pidfd(const char *path, const char *name, pid_t pid, struct err *e);

#endif
