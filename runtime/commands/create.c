/* bailey create: a container with its program found and checked, not run. */

#include "common/cleanup.h"
#include "runtime/launch/making.h"
#include "runtime/commands/options.h"

static const struct option_def options[] = {MAKING_OPTION_DEFS};

static int run(const struct globals *g, char **argv, struct err *e)
{
    _cleanup_(making_release) struct making m = MAKING_INIT(g);
    int r = making_arguments(&m, &cmd_create, argv, e);

    if (r)
        return r < 0 ? -1 : 0;
    return making_create(&m, e);
}

const struct command cmd_create = {
    .name = "create",
    .args = "ID",
    .summary = "Create a container from a bundle; its program waits for start",
    .options = options,
    .passes_fds = true,
    .enters = true,
    .run = run,
};
