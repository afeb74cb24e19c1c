/* The subcommands of bailey. */
#ifndef BAILEY_RUNTIME_CMD_H
#define BAILEY_RUNTIME_CMD_H

#include "common/err.h"

struct globals {
    const char *root;       /* --root: where the state of containers is */
    const char *log;        /* --log: a file, or NULL for stderr */
    const char *log_format; /* "text" or "json" */
    bool debug, strace;
    bool help, version;
};

struct option_def;

struct command {
    const char *name, *args, *summary;
    const struct option_def *options;
    /* argv[0] is the command's name. Returns the exit status, or -1 with *e. */
    int (*run)(const struct globals *g, char **argv, struct err *e);
    int failed; /* the exit status after an error, where it is not the error's own */
};

extern const struct command cmd_create, cmd_delete, cmd_events, cmd_exec, cmd_kill, cmd_list, cmd_pause,
    cmd_ps, cmd_resume, cmd_run, cmd_spec, cmd_start, cmd_state, cmd_stop, cmd_update;

/* Prints a command's help to stdout. */
void command_help(const struct command *c);

#endif
