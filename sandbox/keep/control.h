/* The keep's talk with runtime and porters, in its first thread: messages.h says what about. */
#ifndef BAILEY_KEEP_CONTROL_H
#define BAILEY_KEEP_CONTROL_H

#include "sandbox/keep/container.h"
#include "sandbox/platform/messages.h"

struct session;

/* Serves until the porter of the container's own program is gone; then the keep ends. client_fd: the runtime
 * that made the sandbox. listen_fd: for later ones, -1: none. status_fd: as in struct keep_boot. signal_fd:
 * what control_hold_signals returned. */
struct control {
    struct container *container;
    struct session *first;
    int client_fd, listen_fd, status_fd, signal_fd;
    bool detached; /* the sandbox may outlive client_fd */
};

/* Before there is any other thread: no signal that somebody sends to the keep ends it. Those that ask a
 * program to end are its init's: they come out of the descriptor. -errno. */
int control_hold_signals(void);

_Noreturn void control_loop(struct control *k);

#endif
