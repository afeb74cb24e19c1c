#include "runtime/idcmd.h"

#include <stdio.h>

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
    struct idcmd_options o = {0};
    char of[32];
    int argi = 1;

    *ret_id = NULL;
    snprintf(of, sizeof(of), "bailey %s", c->name);
    if (options_parse(c->options, of, argv, &argi, &o, e))
        return -1;
    if (o.help) {
        command_help(c);
        return 0;
    }
    return idcmd_id(c, argv + argi, ret_id, e);
}
