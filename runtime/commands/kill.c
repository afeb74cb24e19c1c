/* bailey kill: a signal to a container. */
#include <stddef.h>

#include "common/cleanup.h"
#include "runtime/commands/each.h"
#include "runtime/commands/options.h"
#include "runtime/commands/signame.h"
#include "runtime/commands/target.h"
#include "sandbox/platform/messages.h"

struct kill_options {
    bool all, regex;
};

static const struct option_def options[] = {
    {"all", 'a', NULL, offsetof(struct kill_options, all), "to every process of the container"},
    {"regex", 'r', NULL, offsetof(struct kill_options, regex),
     "ID is a regular expression: to all containers whose id matches"},
    {NULL, 0, NULL, 0, NULL},
};

static int kill_all(const struct target *t, int sig, struct err *e)
{
    if (target_status(t) == STATUS_STOPPED)
        return err_set(e, ERR_NOT_RUNNING, 0, "container not running: %.255s", t->dir.id);
    return target_request(t, CONTROL_SIGNAL, sig, e);
}

/* Nothing that a guest does can hold that one up, so it goes to where all of them end; then to what in the
 * cgroup was none of them. That there is nobody any more is as it should be. */
static int end_all(const struct target *t, struct err *e)
{
    if (target_signal(t, 9, e) && e->code != ERR_NOT_RUNNING)
        return -1;
    *e = (struct err)ERR_INIT;
    return t->porter < 0 || procid_wait(t->porter, 10000) ? target_kill_rest(t, e) : 0;
}

struct sending {
    int sig;
    bool all;
};

static int send(const struct globals *g, const char *id, void *arg, struct err *e)
{
    _cleanup_(target_close) struct target t = TARGET_INIT;
    const struct sending *s = arg;
    int sig = s->sig;

    if (target_open(g, id, false, &t, e))
        return -1;
    if (s->all && sig == 9)
        return end_all(&t, e);
    return s->all && sig != 0 ? kill_all(&t, sig, e) : target_signal(&t, sig, e);
}

static int run(const struct globals *g, char **argv, struct err *e)
{
    struct kill_options o = {0};
    int r = command_options(&cmd_kill, &argv, &o, e);

    if (r)
        return r < 0 ? -1 : 0;
    if (!argv[0])
        return err_set(e, ERR_USAGE, 0, "kill needs a container id (see bailey kill --help)");
    if (argv[1] && argv[2])
        return err_set(e, ERR_USAGE, 0, "kill takes an id and a signal; there is also \"%.60s\"", argv[2]);
    const char *signal = argv[1] ? argv[1] : "TERM";
    struct sending s = {signame_parse(signal), o.all};
    if (s.sig < 0)
        return err_set(e, ERR_USAGE, 0, "unknown signal \"%.40s\"", signal);
    return o.regex ? each_matching(g, argv[0], send, &s, e) : send(g, argv[0], &s, e);
}

const struct command cmd_kill = {
    .name = "kill",
    .args = "ID [SIGNAL]",
    .summary = "Send a signal (TERM) to a container's first process",
    .options = options,
    .run = run,
};
