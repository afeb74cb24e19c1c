/* The bailey command: global options, then a subcommand. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/version.h"
#include "runtime/commands/cmd.h"
#include "runtime/logto.h"
#include "runtime/commands/options.h"
#include "runtime/launch/passed.h"
#include "runtime/launch/reexec.h"

/* Descriptors 0 to 2 must be something, or the next open would become a standard stream. */
static int tidy_descriptors(struct err *e)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return err_set(e, ERR_SYS, errno, "/dev/null");
    return 0;
}

/* Errors go to the log; to stderr too where the log is a file, because the caller looks there. */
static int report(const struct globals *g, const struct err *e)
{
    log_err(e);
    if (g->log && *g->log) {
        log_init(STDERR_FILENO, LOG_FMT_TEXT, LOG_LVL_ERROR);
        log_err(e);
    }
    return err_exit_status(e->code);
}

/* Before descriptors are looked at, which it inherits. Words that are no command are run_command's to judge.
 */
static int seal(const struct globals *g, const char *name, struct err *e)
{
    const struct command *c = name && !g->help && !g->version ? command_find(name) : NULL;

    return c && c->enters ? reexec_sealed(g->argv, e) : 0;
}

static int run_command(const struct globals *g, char **argv, struct err *e)
{
    if (g->version) {
        printf("bailey version %s\nspec: %s\n", BAILEY_VERSION, OCI_SPEC_VERSION);
        return 0;
    }
    if (g->help || !argv[0]) {
        global_help();
        return 0;
    }
    const struct command *c = command_find(argv[0]);
    if (!c)
        return err_set(e, ERR_USAGE, 0, "unknown command \"%.60s\" (see bailey --help)", argv[0]);
    if (!c->passes_fds)
        passed_close(g->inherited);
    int status = c->run(g, argv, e);
    if (status >= 0 || !c->failed)
        return status;
    (void)report(g, e);
    return c->failed;
}

int main(int argc, char **argv)
{
    struct globals g = {.argv = argv};
    struct err e = ERR_INIT;
    int argi = 1;

    if (argc < 1)
        return 1;
    /* A caller that ignores it would take from us the ends of our children. */
    (void)signal(SIGCHLD, SIG_DFL);
    int parsed = options_parse(global_options, "bailey", argv, &argi, &g, &e);
    if ((!parsed && seal(&g, argv[argi], &e)) || tidy_descriptors(&e))
        return report(&(struct globals){0}, &e);
    g.inherited = passed_inherited();
    if (parsed || globals_settle(&g, &e) || logto_open(&g, &e))
        return report(&(struct globals){0}, &e);
    int status = run_command(&g, argv + argi, &e);
    return status < 0 ? report(&g, &e) : status;
}
