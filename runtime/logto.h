/* Where --log leads: a file, the journal, syslog, or stderr. */
#ifndef BAILEY_RUNTIME_LOGTO_H
#define BAILEY_RUNTIME_LOGTO_H

#include "runtime/commands/cmd.h"

/* Opens it, and sets up the log for as long as the process lives. Not called: text, on stderr. */
int logto_open(const struct globals *g, struct err *e);

#endif
