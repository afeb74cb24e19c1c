/* bailey delete: a container that has ended, or with --force any. */
#include <stddef.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/commands/each.h"
#include "runtime/commands/idcmd.h"
#include "runtime/hooks/poststop.h"
#include "runtime/commands/target.h"

struct delete_options {
    bool force, regex;
};

static const struct option_def options[] = {
    {"force", 'f', NULL, offsetof(struct delete_options, force),
     "end it first; no error if it does not exist"},
    {"regex", 'r', NULL, offsetof(struct delete_options, regex),
     "ID is a regular expression: all containers whose id matches"},
    {NULL, 0, NULL, 0, NULL},
};

/* The directory goes last: what a killed `delete` did not come to is done by the next one. */
static void remove_all(struct state_dir *s)
{
    struct err why = ERR_INIT;
    struct cgroup cg;
    int r = cgroup_load(&cg, s->dir, &why);

    if (r == 0)
        cgroup_remove(&cg, s->dir);
    else if (r < 0)
        log_err(&why);
    poststop_run(s->dir, s->id, NULL);
    state_remove(s);
}

static int delete_container(struct target *t, bool force, struct err *e)
{
    enum status s = target_status(t);

    /* What was never started has nothing to lose. */
    if (s != STATUS_STOPPED && s != STATUS_CREATED && !force)
        return err_set(e, ERR_STATE, 0, "cannot delete container %.255s: it is %s, not stopped (see --force)",
                       t->dir.id, status_name(s));
    if (target_end(t, e) || (force && target_kill_rest(t, e)))
        return -1;
    remove_all(&t->dir);
    return 0;
}

/* A command may hang with the lock held, and only what it waits for can be ended. */
static void end_first(const struct globals *g, const char *id)
{
    _cleanup_(target_close) struct target t = TARGET_INIT;
    struct err ignored = ERR_INIT;

    if (target_open(g, id, false, &t, &ignored) == 0)
        (void)target_end(&t, &ignored);
}

/* What a killed command left has a directory and no state. Or there is one that cannot be read, or something
 * else has written there: then it may run. */
static int delete_remains(const struct globals *g, const char *id, bool may_run, struct err *e)
{
    _cleanup_(target_close) struct target t = TARGET_INIT;

    if (state_open(g->root, id, &t.dir, e) || state_lock(&t.dir, e))
        return e->code == ERR_NO_CONTAINER ? 0 : -1;
    if (may_run && target_end_unknown(&t, e))
        return -1;
    remove_all(&t.dir);
    return 0;
}

static int delete_one(const struct globals *g, const char *id, void *arg, struct err *e)
{
    _cleanup_(target_close) struct target t = TARGET_INIT;
    bool force = ((const struct delete_options *)arg)->force;
    struct err why = ERR_INIT;

    if (state_check_id(id, e))
        return -1;
    if (force)
        end_first(g, id);
    if (target_open(g, id, true, &t, &why) == 0)
        return delete_container(&t, force, e);
    if (force)
        return delete_remains(g, id, why.code != ERR_NO_CONTAINER, e);
    *e = why;
    return -1;
}

static int run(const struct globals *g, char **argv, struct err *e)
{
    struct delete_options o = {0};
    const char *id;
    int r = command_options(&cmd_delete, &argv, &o, e);

    if (r)
        return r < 0 ? -1 : 0;
    if (idcmd_id(&cmd_delete, argv, &id, e))
        return -1;
    return o.regex ? each_matching(g, id, delete_one, &o, e) : delete_one(g, id, &o, e);
}

const struct command cmd_delete = {
    .name = "delete",
    .args = "ID",
    .summary = "Remove a container that has ended",
    .options = options,
    .run = run,
};
