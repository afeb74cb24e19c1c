/* bailey kill: a signal to a container. */
#include <stddef.h>

#include "common/cleanup.h"
#include "runtime/launch_internal.h"
#include "runtime/options.h"
#include "runtime/signame.h"
#include "runtime/target.h"
#include "sandbox/platform/messages.h"

struct kill_options {
    bool all, help;
};

static const struct option_def options[] = {
    {"all", 'a', NULL, offsetof(struct kill_options, all), "to every process of the container"},
    {"help", 'h', NULL, offsetof(struct kill_options, help), "show help"},
    {NULL, 0, NULL, 0, NULL},
};

static int kill_all(const struct target *t, int sig, struct err *e)
{
    struct control_msg m = {.type = CONTROL_SIGNAL, .value = sig};

    if (target_status(t) == STATUS_STOPPED)
        return err_set(e, ERR_STATE, 0, "container not running: %.255s", t->dir.id);
    _cleanup_close_ int keep = target_connect(t, e);
    if (keep < 0)
        return -1;
    int r = msg_send(keep, &m, sizeof(m), -1);
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "cannot speak to the sandbox");
    return launch_expect(keep, CONTROL_DONE, e);
}

static int send(const struct globals *g, const char *id, const char *signal, bool all, struct err *e)
{
    _cleanup_(target_close) struct target t = TARGET_INIT;
    int sig = signame_parse(signal);

    if (sig < 0)
        return err_set(e, ERR_USAGE, 0, "unknown signal \"%.40s\"", signal);
    if (target_open(g, id, false, &t, e))
        return -1;
    /* Nothing that a guest does can hold that one up, so it goes to where all of them end. */
    return all && sig != 9 && sig != 0 ? kill_all(&t, sig, e) : target_signal(&t, sig, e);
}

static int run(const struct globals *g, char **argv, struct err *e)
{
    struct kill_options o = {0};
    int argi = 1;

    if (options_parse(options, "bailey kill", argv, &argi, &o, e))
        return -1;
    if (o.help) {
        command_help(&cmd_kill);
        return 0;
    }
    char **arg = argv + argi;
    if (!arg[0])
        return err_set(e, ERR_USAGE, 0, "kill needs a container id (see bailey kill --help)");
    if (arg[1] && arg[2])
        return err_set(e, ERR_USAGE, 0, "kill takes an id and a signal; there is also \"%.60s\"", arg[2]);
    return send(g, arg[0], arg[1] ? arg[1] : "TERM", o.all, e);
}

const struct command cmd_kill = {
    .name = "kill",
    .args = "ID [SIGNAL]",
    .summary = "Send a signal (TERM) to a container's first process",
    .options = options,
    .run = run,
};
