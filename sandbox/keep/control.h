/* The keep's talk with runtime and porter, in its first thread. */
#ifndef BAILEY_KEEP_CONTROL_H
#define BAILEY_KEEP_CONTROL_H

#include "sandbox/keep/container.h"
#include "sandbox/platform/messages.h"

/* Serves until the container's porter is gone; then the keep ends. */
_Noreturn void control_loop(struct container *c, int control_fd);

#endif
