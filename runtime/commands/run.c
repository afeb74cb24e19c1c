/* bailey run: create a container, start it, stay with it to its end. */
#include <stddef.h>

#include "common/cleanup.h"
#include "runtime/launch/attend.h"
#include "runtime/launch/making.h"
#include "runtime/commands/options.h"

static const struct option_def options[] = {
    {"detach", 'd', NULL, offsetof(struct making_options, detach), "return once the program runs"},
    {"keep", 0, NULL, offsetof(struct making_options, keep),
     "leave the container to `bailey delete` when it has ended"},
    MAKING_OPTION_DEFS,
};

/* Other commands may work on it now, until it is removed here. */
static int stay(struct making *m, struct err *e)
{
    struct err gone = ERR_INIT;

    state_unlock(&m->state);
    int failed = attend(m->signals, &m->console, m->launch.porter, e);
    if (!failed) {
        int status = launch_wait(&m->launch, e);
        console_drain(&m->console);
        if (m->o.keep)
            return status;
        if (state_lock(&m->state, &gone) == 0) {
            cgroup_remove(&m->cgroup, m->state.dir);
            making_poststop(m);
            state_remove(&m->state);
        }
        return status;
    }
    making_undo(m);
    return -1;
}

static int run_container(struct making *m, struct err *e)
{
    if (making_create(m, e))
        return -1;
    if ((m->console.master >= 0 && console_attach(&m->console, e)) || making_start(m, e)) {
        making_undo(m);
        return -1;
    }
    return m->o.detach ? 0 : stay(m, e);
}

static int run(const struct globals *g, char **argv, struct err *e)
{
    _cleanup_(making_release) struct making m = MAKING_INIT(g);
    int r = making_arguments(&m, &cmd_run, argv, e);

    if (r)
        return r < 0 ? -1 : 0;
    m.starts = true;
    m.foreground = !m.o.detach;
    return run_container(&m, e);
}

const struct command cmd_run = {
    .name = "run",
    .args = "ID",
    .summary = "Create a container, start it and wait for its end",
    .options = options,
    .passes_fds = true,
    .enters = true,
    .run = run,
};
