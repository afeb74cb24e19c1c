/* Commands whose one argument is a container's id. */
#ifndef BAILEY_RUNTIME_IDCMD_H
#define BAILEY_RUNTIME_IDCMD_H

#include "runtime/commands/cmd.h"
#include "runtime/commands/options.h"

/* For a command without options of its own. *ret_id is NULL where help was asked for and given. */
int idcmd_arguments(const struct command *c, char **argv, const char **ret_id, struct err *e);

/* What follows a command's options: exactly the id. */
int idcmd_id(const struct command *c, char **rest, const char **ret_id, struct err *e);

#endif
