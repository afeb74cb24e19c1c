#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "runtime/commands/cmd.h"
#include "runtime/commands/options.h"

#define AT(member) offsetof(struct globals, member)
const struct option_def global_options[] = {
    {"root", 0, "DIR", AT(root_dir),
     "where the state of containers is kept (/run/bailey; a user's own: $XDG_RUNTIME_DIR/bailey)"},
    {"log", 0, "FILE", AT(log),
     "append log records to FILE; also file:FILE, journald:IDENT, syslog:IDENT (stderr)"},
    {"log-format", 0, "text|json", AT(log_format), "the form of log records (text)"},
    {"log-level", 0, "error|warning|info|debug", AT(log_level), "the least that is logged (warning)"},
    {"debug", 0, NULL, AT(debug), "log what the runtime and the keep do: --log-level debug"},
    {"strace", 0, NULL, AT(strace), "log each system call of the container"},
    {"lanes", 0, "on|off", AT(lanes),
     "whether guests may use files, pipes and sockets without the keep once it has let them (on)"},
    {"cgroup-manager", 0, "cgroupfs|systemd|disabled", AT(manager_word),
     "who makes control groups (cgroupfs)"},
    {"systemd-cgroup", 0, NULL, AT(systemd_cgroup), "the same as --cgroup-manager systemd"},
    {"rootless", 0, "auto|true|false", AT(rootless_word),
     "ignore what only root may do, such as control groups that cannot be written (auto)"},
    {"help", 'h', NULL, AT(help), "show help"},
    {"version", 'v', NULL, AT(version), "show the version, and that of the OCI specification"},
    {NULL, 0, NULL, 0, NULL},
};

const struct command *const commands[] = {
    &cmd_create, &cmd_start,      &cmd_run,        &cmd_state,   &cmd_list,     &cmd_ps,
    &cmd_exec,   &cmd_kill,       &cmd_stop,       &cmd_delete,  &cmd_pause,    &cmd_resume,
    &cmd_update, &cmd_events,     &cmd_checkpoint, &cmd_restore, &cmd_features, &cmd_debug,
    &cmd_spec,   &cmd_completion, &cmd_help,       NULL,
};

const struct command *command_find(const char *name)
{
    for (size_t i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

void global_help(void)
{
    puts("bailey - an OCI runtime whose containers have a kernel of their own\n\n"
         "Usage: bailey [OPTION...] COMMAND [ARGUMENT...]\n\nCommands:");
    for (size_t i = 0; commands[i]; i++)
        printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
    puts("\nOptions (before the command):");
    options_help(global_options);
    puts("\n`bailey COMMAND --help` tells more about a command.");
}

void command_help(const struct command *c)
{
    printf("%s\n\nUsage: bailey [GLOBAL OPTION...] %s%s%s%s\n", c->summary, c->name,
           c->options ? " [OPTION...]" : "", *c->args ? " " : "", c->args);
    if (c->options)
        puts("\nOptions:");
    if (c->options)
        options_help(c->options);
}

int command_options(const struct command *c, char ***argv, void *into, struct err *e)
{
    static const struct option_def none[] = {{NULL, 0, NULL, 0, NULL}};
    const struct option_def *defs = c->options ? c->options : none;
    char of[32];
    int argi = 1;

    snprintf(of, sizeof(of), "bailey %s", c->name);
    int r = c->in_order ? options_parse(defs, of, *argv, &argi, into, e)
                        : options_permute(defs, of, *argv, &argi, into, e);
    if (r > 0)
        command_help(c);
    *argv += argi;
    return r;
}

static int help(const struct globals *g, char **argv, struct err *e)
{
    int r = command_options(&cmd_help, &argv, NULL, e);

    (void)g;
    if (r)
        return r < 0 ? -1 : 0;
    if (!argv[0]) {
        global_help();
        return 0;
    }
    const struct command *c = command_find(argv[0]);
    if (!c)
        return err_set(e, ERR_USAGE, 0, "unknown command \"%.60s\" (see bailey --help)", argv[0]);
    command_help(c);
    return 0;
}

const struct command cmd_help = {
    .name = "help",
    .args = "[COMMAND]",
    .summary = "Show help",
    .run = help,
};
