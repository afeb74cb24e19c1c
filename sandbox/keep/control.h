/* The keep's talk with runtime and porters, in its first thread: messages.h says what about. */
#ifndef BAILEY_KEEP_CONTROL_H
#define BAILEY_KEEP_CONTROL_H

#include "sandbox/keep/container/container.h"
#include "sandbox/platform/messages.h"

struct session;

/* Serves until the porter of the first container's own program is gone; then the keep ends. The runtime that
 * made the sandbox is sandbox->maker_fd. signal_fd: what control_hold_signals returned. */
enum { CONTROL_CLIENTS_MAX = 64 };

/* A connection of some later command. */
struct client {
    int fd;                      /* -1: the slot is free */
    struct container *container; /* that it is about; a reference */
};

struct control {
    struct container *sandbox; /* the first container: the keep ends with it */
    bool pod;                  /* others may join */
    int signal_fd;
    struct client clients[CONTROL_CLIENTS_MAX];
};

/* Before there is any other thread: no signal that somebody sends to the keep ends it. Those that ask a
 * program to end are its init's: they come out of the descriptor. -errno. */
int control_hold_signals(void);

_Noreturn void control_loop(struct control *k);

#endif
