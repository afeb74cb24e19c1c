/* A command that stays with a program in the foreground. */
#ifndef BAILEY_RUNTIME_ATTEND_H
#define BAILEY_RUNTIME_ATTEND_H

#include <sys/types.h>

#include "runtime/console.h"

/* From here on no signal ends this process: each waits in the descriptor that is returned until it can be
 * forwarded. Those that a fault of our own raises keep their meaning. The caller closes it; -1 with *e. */
int attend_hold_signals(struct err *e);

/* Serves the terminal and forwards the signals until the porter, a child, is gone (it is not reaped). */
int attend(int signals, struct console *c, pid_t porter, struct err *e);

#endif
