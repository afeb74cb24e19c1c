/* The command line: global options, and the subcommands of bailey. Help, man page, completion and the tables
 * of the docs are printed from what stands here. */
#ifndef BAILEY_RUNTIME_CMD_H
#define BAILEY_RUNTIME_CMD_H

#include "common/err.h"
#include "runtime/commands/options.h"

enum cgroup_manager { CGROUP_MANAGER_CGROUPFS, CGROUP_MANAGER_SYSTEMD, CGROUP_MANAGER_DISABLED };
enum rootless { ROOTLESS_AUTO, ROOTLESS_TRUE, ROOTLESS_FALSE };

struct globals {
    /* as given, or NULL */
    const char *root_dir, *log, *log_format, *log_level, *manager_word, *rootless_word;
    bool systemd_cgroup, debug, strace, help, version;
    const char *lanes;
    char **argv; /* the whole command line */
    /* what that means: globals_settle */
    unsigned inherited; /* descriptors that were open from 3 on: runtime/launch/passed.h */
    const char *root;   /* where the state of containers is */
    enum cgroup_manager cgroup_manager;
    enum rootless rootless;
};

struct command {
    const char *name, *args, *summary;
    const char *text; /* more about it, for the man page; paragraphs of one line each */
    const struct option_def *options;
    bool passes_fds; /* on to a program: those that the command inherits stay open for it to take */
    bool enters;     /* what it forks enters a container's namespaces: runtime/launch/reexec.h */
    bool in_order;   /* options end at the first argument: what follows is another program's */
    /* argv[0] is the command's name. Returns the exit status, or -1 with *e. */
    int (*run)(const struct globals *g, char **argv, struct err *e);
    int failed; /* the exit status after an error, where it is not the error's own */
};

extern const struct command cmd_checkpoint, cmd_completion, cmd_create, cmd_delete, cmd_events, cmd_exec,
    cmd_debug, cmd_features, cmd_help, cmd_kill, cmd_list, cmd_pause, cmd_ps, cmd_restore, cmd_resume,
    cmd_run, cmd_spec, cmd_start, cmd_state, cmd_stop, cmd_update;

/* All of them, NULL at the end, in the order in which they are shown. */
extern const struct command *const commands[];
extern const struct option_def global_options[];

/* NULL: there is no such command. */
const struct command *command_find(const char *name);

/* Reads a command's options into *into. *argv is the command's, and what follows the options afterwards. 0; 1
 * where help was asked for, and given; -1 with *e. */
int command_options(const struct command *c, char ***argv, void *into, struct err *e);

/* Prints a command's help, or the whole one's, to stdout. */
void command_help(const struct command *c);
void global_help(void);

/* Fills in what follows from the words: defaults, and XDG_RUNTIME_DIR for who is not root. */
int globals_settle(struct globals *g, struct err *e);

#endif
