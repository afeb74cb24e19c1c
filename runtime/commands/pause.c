/* bailey pause and bailey resume: the container's processes are stopped by the host's freezer. The keep runs
 * on and answers, but does nothing for them. */

#include "common/cleanup.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/commands/idcmd.h"
#include "runtime/commands/pod.h"
#include "runtime/commands/target.h"
#include "sandbox/platform/messages.h"

/* What guests have begun in the keep is held there. */
static int tell_keep(const struct target *t, bool frozen, struct err *e)
{
    return target_request(t, CONTROL_FREEZE, frozen, e);
}

static int set_frozen(const struct globals *g, const char *id, bool frozen, struct err *e)
{
    _cleanup_(target_close) struct target t = TARGET_INIT;
    enum status from = frozen ? STATUS_RUNNING : STATUS_PAUSED;
    struct cgroup cg;

    if (target_open(g, id, true, &t, e))
        return -1;
    enum status s = target_status(&t);
    if (s == STATUS_STOPPED)
        return err_set(e, ERR_NOT_RUNNING, 0, "container not running: %.255s", id);
    if (s != from)
        return err_set(e, ERR_STATE, 0, "cannot %s container %.255s: it is %s", frozen ? "pause" : "resume",
                       id, status_name(s));
    if (cgroup_load(&cg, t.dir.dir, e) < 0)
        return -1;
    if (frozen && pod_is_sandbox(&t.rec) && cgroup_freezes_keep(&cg))
        return err_set(e, ERR_UNSUPPORTED, 0,
                       "container %.255s is a pod's sandbox: with it the keep of all the others would stop",
                       id);
    if (frozen && cgroup_freeze(&cg, true, e))
        return -1;
    if (tell_keep(&t, frozen, e)) {
        struct err ignored = ERR_INIT;
        if (frozen)
            (void)cgroup_freeze(&cg, false, &ignored);
        return -1;
    }
    if (!frozen && cgroup_freeze(&cg, false, e))
        return -1;
    t.rec.status = frozen ? STATUS_PAUSED : STATUS_RUNNING;
    return record_save(&t.rec, t.dir.dir, e);
}

static int run_pause(const struct globals *g, char **argv, struct err *e)
{
    const char *id;

    if (idcmd_arguments(&cmd_pause, argv, &id, e))
        return -1;
    return id ? set_frozen(g, id, true, e) : 0;
}

static int run_resume(const struct globals *g, char **argv, struct err *e)
{
    const char *id;

    if (idcmd_arguments(&cmd_resume, argv, &id, e))
        return -1;
    return id ? set_frozen(g, id, false, e) : 0;
}

const struct command cmd_pause = {
    .name = "pause",
    .args = "ID",
    .summary = "Stop all processes of a container where they are",
    .run = run_pause,
};

const struct command cmd_resume = {
    .name = "resume",
    .args = "ID",
    .summary = "Let a paused container go on",
    .run = run_resume,
};
