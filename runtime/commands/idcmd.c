#include "runtime/commands/idcmd.h"

int idcmd_id(const struct command *c, char **rest, const char **ret_id, struct err *e)
{
    if (!rest[0])
        return err_set(e, ERR_USAGE, 0, "%s needs a container id (see bailey %s --help)", c->name, c->name);
    if (rest[1])
        return err_set(e, ERR_USAGE, 0, "%s takes one argument, the id; there is also \"%.60s\"", c->name,
                       rest[1]);
    *ret_id = rest[0];
    return 0;
}

int idcmd_arguments(const struct command *c, char **argv, const char **ret_id, struct err *e)
{
    *ret_id = NULL;
    int r = command_options(c, &argv, NULL, e);
    return r ? (r < 0 ? -1 : 0) : idcmd_id(c, argv, ret_id, e);
}
