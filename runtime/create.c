/* bailey create: a container with its program found and checked, not run. */
#include <stddef.h>

#include "common/cleanup.h"
#include "runtime/making.h"
#include "runtime/options.h"

static const struct option_def options[] = {MAKING_OPTION_DEFS};

static int run(const struct globals *g, char **argv, struct err *e)
{
    _cleanup_(making_release) struct making m = MAKING_INIT(g);

    if (making_arguments(&m, &cmd_create, argv, e))
        return -1;
    if (m.o.help) {
        command_help(&cmd_create);
        return 0;
    }
    return making_create(&m, e);
}

const struct command cmd_create = {
    .name = "create",
    .args = "ID",
    .summary = "Create a container from a bundle; its program waits for start",
    .options = options,
    .run = run,
};
