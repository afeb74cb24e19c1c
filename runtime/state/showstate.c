/* bailey state: the state of a container as the specification shows it. */
#include <stddef.h>
#include <stdio.h>

#include "common/cleanup.h"
#include "runtime/commands/idcmd.h"
#include "runtime/commands/stopsignal.h"
#include "runtime/commands/target.h"

static int run(const struct globals *g, char **argv, struct err *e)
{
    _cleanup_(target_close) struct target t = TARGET_INIT;
    const char *id;

    if (idcmd_arguments(&cmd_state, argv, &id, e))
        return -1;
    if (!id)
        return 0;
    if (target_open(g, id, false, &t, e))
        return -1;
    enum status s = target_status(&t);
    bool stopped = s == STATUS_STOPPED;

    target_tidy(&t, s);
    bool runs = s == STATUS_RUNNING || s == STATUS_PAUSED;
    _cleanup_free_ char *text =
        record_state_json(&t.rec, s, stopped ? 0 : t.rec.porter.pid, stopped ? target_exit_status(&t) : -1,
                          runs ? stopsignal_disposition(&t, stopsignal_of(&t.rec)) : NULL);
    if (!text)
        return err_set(e, ERR_SYS, 0, "cannot write the state of container %.255s", id);
    return fputs(text, stdout) < 0 || fflush(stdout) ? err_set(e, ERR_SYS, 0, "stdout") : 0;
}

const struct command cmd_state = {
    .name = "state",
    .args = "ID",
    .summary = "Print a container's state as JSON",
    .run = run,
};
