/* sd_notify(3) for a container: that its program is ready is passed on to who waits for it on the host. */
#ifndef BAILEY_KEEP_NOTIFY_H
#define BAILEY_KEEP_NOTIFY_H

#include "sandbox/keep/container/container.h"

struct notify;
struct uio;

/* Gives c the socket KEEP_NOTIFY_NAME. fd: connected to the host's, and taken over; main_pid: what the host
 * is to take for the program. 0 or -ENOMEM. */
int notify_init(struct container *c, int fd, pid_t main_pid);

/* Where a guest finds it: c's socket, with a reference, if that is what the abstract name of len bytes means;
 * else NULL. */
struct unix_sock *notify_find(const struct container *c, const char *name, size_t len);

/* A guest's message to it: of what it says only READY=1 goes out, and only once, as other runtimes have it.
 * The number of bytes, or -errno. */
ssize_t notify_take(struct notify *n, struct uio *u);

/* For the socket, which owns it. NULL is fine. */
void notify_free(struct notify *n);

#endif
