/* The same for several containers: those whose ids match a regular expression. */
#ifndef BAILEY_RUNTIME_EACH_H
#define BAILEY_RUNTIME_EACH_H

#include "runtime/commands/cmd.h"

/* Calls f for each container of the root whose id matches the POSIX extended regular expression, in the order
 * of their names. One that fails is logged, and the others have their turn; -1 with the last one's *e then.
 */
int each_matching(const struct globals *g, const char *regex,
                  int (*f)(const struct globals *g, const char *id, void *arg, struct err *e), void *arg,
                  struct err *e);

#endif
