/* The bailey command: global options, then a subcommand. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/version.h"
#include "runtime/cmd.h"
#include "runtime/options.h"
#include "runtime/reexec.h"

static const struct option_def global_options[] = {
    {"root", 0, "DIR", offsetof(struct globals, root), "where the state of containers is kept (/run/bailey)"},
    {"log", 0, "FILE", offsetof(struct globals, log), "append log records to FILE (default: stderr)"},
    {"log-format", 0, "text|json", offsetof(struct globals, log_format), "the form of log records (text)"},
    {"debug", 0, NULL, offsetof(struct globals, debug), "log what the runtime and the keep do"},
    {"strace", 0, NULL, offsetof(struct globals, strace), "log each system call of the container"},
    {"help", 'h', NULL, offsetof(struct globals, help), "show help"},
    {"version", 'v', NULL, offsetof(struct globals, version), "show the version"},
    {NULL, 0, NULL, 0, NULL},
};

static const struct command *const commands[] = {
    &cmd_create, &cmd_start,  &cmd_run,   &cmd_state,  &cmd_list,   &cmd_ps,     &cmd_exec, &cmd_kill,
    &cmd_stop,   &cmd_delete, &cmd_pause, &cmd_resume, &cmd_update, &cmd_events, &cmd_spec,
};

static void help(void)
{
    puts("bailey - an OCI runtime whose containers have a kernel of their own\n\n"
         "Usage: bailey [OPTION...] COMMAND [ARGUMENT...]\n\nCommands:");
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
    puts("\nOptions (before the command):");
    options_help(global_options);
    puts("\n`bailey COMMAND --help` tells more about a command.");
}

void command_help(const struct command *c)
{
    printf("%s\n\nUsage: bailey [GLOBAL OPTION...] %s [OPTION...] %s\n", c->summary, c->name, c->args);
    if (c->options && c->options->name)
        puts("\nOptions:");
    options_help(c->options);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

/* Descriptors 0 to 2 must be something, or the next open would become a standard stream; all others are not
 * ours. */
static int tidy_descriptors(struct err *e)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return err_set(e, ERR_SYS, errno, "/dev/null");
    close_range(STDERR_FILENO + 1, ~0U, 0);
    return 0;
}

/* The log file is opened once and lives as long as the process. */
static int set_up_log(const struct globals *g, struct err *e)
{
    enum log_format format = LOG_FMT_TEXT;
    int fd = STDERR_FILENO;

    if (strcmp(g->log_format, "json") == 0)
        format = LOG_FMT_JSON;
    else if (strcmp(g->log_format, "text") != 0)
        return err_set(e, ERR_USAGE, 0, "option --log-format: must be text or json, not \"%.40s\"",
                       g->log_format);
    if (g->log && *g->log)
        fd = open(g->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
    if (fd < 0)
        return err_set(e, ERR_SYS, errno, "log file %s", g->log);
    log_init(fd, format, g->debug ? LOG_LVL_DEBUG : g->strace ? LOG_LVL_INFO : LOG_LVL_WARNING);
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

static int run_command(const struct globals *g, char **argv, struct err *e)
{
    if (g->version) {
        printf("bailey version %s\nspec: %s\n", BAILEY_VERSION, OCI_SPEC_VERSION);
        return 0;
    }
    if (g->help || !argv[0] || strcmp(argv[0], "help") == 0) {
        help();
        return 0;
    }
    const struct command *c = find_command(argv[0]);
    if (!c)
        return err_set(e, ERR_USAGE, 0, "unknown command \"%.60s\" (see bailey --help)", argv[0]);
    int status = c->run(g, argv, e);
    if (status >= 0 || !c->failed)
        return status;
    (void)report(g, e);
    return c->failed;
}

int main(int argc, char **argv)
{
    struct globals g = {.root = "/run/bailey", .log_format = "text"};
    struct err e = ERR_INIT;
    int argi = 1;

    if (argc < 1)
        return 1;
    if (reexec_sealed(argv, &e) || tidy_descriptors(&e) ||
        options_parse(global_options, "bailey", argv, &argi, &g, &e) || set_up_log(&g, &e))
        return report(&(struct globals){0}, &e);
    int status = run_command(&g, argv + argi, &e);
    return status < 0 ? report(&g, &e) : status;
}
