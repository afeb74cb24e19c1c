/* bailey start: lets the program of a created container run. */

#include "common/cleanup.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/commands/idcmd.h"
#include "runtime/launch/interrupt.h"
#include "runtime/hooks/poststop.h"
#include "runtime/launch/reexec.h"
#include "runtime/launch/starting.h"
#include "runtime/commands/target.h"

/* It is stopped and done with, but for delete. */
static void give_up(struct target *t, const struct hooks *hooks)
{
    struct err ignored = ERR_INIT;

    (void)target_end(t, &ignored);
    poststop_run(t->dir.dir, t->rec.id, hooks);
}

static int start(const struct globals *g, struct target *t, struct err *e)
{
    enum status s = target_status(t);
    const struct hooks *hooks;

    if (s != STATUS_CREATED)
        return err_set(e, ERR_STATE, 0, "cannot start container %.255s: it is %s, not created", t->dir.id,
                       status_name(s));
    if (target_load_hooks(t, &hooks, e))
        return -1;
    /* Such a hook has a porter in the container's namespaces. */
    if (hooks && hooks->config->hooks[OCI_HOOK_START_CONTAINER].n > 0 && reexec_sealed(g->argv, e))
        return -1;
    _cleanup_close_ int keep = target_connect(t, e);
    if (keep < 0)
        return -1;
    struct cgroup cg;
    if (cgroup_load(&cg, t->dir.dir, e) < 0)
        return -1;
    /* A hook that hangs is to be ended with this command, and the container with it. */
    if (hooks)
        interrupt_hold();
    const struct starting st = {hooks, keep, t->rec.keep, t->rec.porter, g->strace, &cg};
    if (starting_run(&st, e)) {
        give_up(t, hooks);
        return -1;
    }
    t->rec.status = STATUS_RUNNING;
    return record_save(&t->rec, t->dir.dir, e);
}

static int run(const struct globals *g, char **argv, struct err *e)
{
    _cleanup_(target_close) struct target t = TARGET_INIT;
    const char *id;

    if (idcmd_arguments(&cmd_start, argv, &id, e))
        return -1;
    if (!id)
        return 0;
    return target_open(g, id, true, &t, e) ? -1 : start(g, &t, e);
}

const struct command cmd_start = {
    .name = "start",
    .args = "ID",
    .summary = "Run the program of a created container",
    .run = run,
};
