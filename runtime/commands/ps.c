/* bailey ps: the processes of a container, by their host pids. The table is the host's ps(1), which shows of
 * a guest what the keep has it show: its command (exec_load.c). */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "runtime/commands/options.h"
#include "runtime/commands/target.h"
#include "sandbox/platform/messages.h"

enum { PS_ARGS_MAX = 64, LINE_MAX_BYTES = 65536 };

struct ps_options {
    const char *format;
};

static const struct option_def options[] = {
    {"format", 'f', "table|json", offsetof(struct ps_options, format),
     "what ps(1) prints (its arguments may follow: -ef), or a JSON array of pids (table)"},
    {NULL, 0, NULL, 0, NULL},
};

static int print_json(int pids, struct err *e)
{
    const char *comma = "";
    int32_t pid;

    fputs("[", stdout);
    for (off_t at = 0; pread(pids, &pid, sizeof(pid), at) == sizeof(pid); at += (off_t)sizeof(pid)) {
        printf("%s%d", comma, pid);
        comma = ",";
    }
    puts("]");
    return fflush(stdout) ? err_set(e, ERR_SYS, 0, "stdout") : 0;
}

static bool is_among(int pids, long want)
{
    int32_t pid;

    for (off_t at = 0; pread(pids, &pid, sizeof(pid), at) == sizeof(pid); at += (off_t)sizeof(pid))
        if (pid == want)
            return true;
    return false;
}

/* The n-th word of a line as a number; -1: there is none. */
static long number_at(const char *line, unsigned n)
{
    char *end;

    for (;; n--) {
        line += strspn(line, " ");
        if (n == 0)
            break;
        line += strcspn(line, " ");
    }
    long v = strtol(line, &end, 10);
    return end == line ? -1 : v;
}

/* In which column of ps's header the pids stand, or -1. */
static int pid_column(const char *header)
{
    int n = 0;

    for (;; n++) {
        header += strspn(header, " ");
        size_t len = strcspn(header, " \n");
        if (len == 0)
            return -1;
        if (len == 3 && memcmp(header, "PID", 3) == 0)
            return n;
        header += len;
    }
}

/* The header, and the lines of those pids. */
static int filter(FILE *from, int pids, struct err *e)
{
    char line[LINE_MAX_BYTES];
    int column = -1;

    while (fgets(line, sizeof(line), from)) {
        bool first = column < 0;
        if (first)
            column = pid_column(line);
        if (column < 0)
            return err_set(e, ERR_USAGE, 0, "ps prints no column PID with these arguments");
        if (first || is_among(pids, number_at(line, (unsigned)column)))
            fputs(line, stdout);
    }
    return fflush(stdout) ? err_set(e, ERR_SYS, 0, "stdout") : 0;
}

static int start_ps(char *const *args, int to, pid_t *ret)
{
    static char name[] = "ps", all[] = "-ef";
    char *argv[PS_ARGS_MAX + 3] = {name, all};
    posix_spawn_file_actions_t actions;

    for (int i = 0; args[i]; i++) {
        if (i == PS_ARGS_MAX)
            return E2BIG;
        argv[i + 1] = args[i];
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to, STDOUT_FILENO);
    int r = posix_spawnp(ret, name, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return r;
}

static int print_table(char *const *args, int pids, struct err *e)
{
    int ends[2], status;
    pid_t ps;

    if (pipe2(ends, O_CLOEXEC))
        return err_set(e, ERR_SYS, errno, "pipe");
    int r = start_ps(args, ends[1], &ps);
    (void)close(ends[1]);
    _cleanup_fclose_ FILE *f = fdopen(ends[0], "r");
    if (r || !f)
        return err_set(e, r == ENOENT ? ERR_UNSUPPORTED : ERR_SYS, r ? r : errno,
                       "the table is made by ps(1), which cannot be run (see --format json)");
    int failed = filter(f, pids, e);
    while (waitpid(ps, &status, 0) < 0 && errno == EINTR)
        ;
    if (!failed && (!WIFEXITED(status) || WEXITSTATUS(status)))
        return err_set(e, ERR_USAGE, 0, "ps does not take these arguments");
    return failed;
}

static int run(const struct globals *g, char **argv, struct err *e)
{
    _cleanup_(target_close) struct target t = TARGET_INIT;
    struct ps_options o = {.format = "table"};
    int r = command_options(&cmd_ps, &argv, &o, e);

    if (r)
        return r < 0 ? -1 : 0;
    bool json = strcmp(o.format, "json") == 0;
    if (!argv[0])
        return err_set(e, ERR_USAGE, 0, "ps needs a container id (see bailey ps --help)");
    if (target_open(g, argv[0], false, &t, e))
        return -1;
    if (target_status(&t) == STATUS_STOPPED)
        return err_set(e, ERR_NOT_RUNNING, 0, "container not running: %.255s", t.rec.id);
    _cleanup_close_ int pids = target_ask_file(&t, CONTROL_PIDS, e);
    if (pids < 0)
        return -1;
    return json ? print_json(pids, e) : print_table(argv + 1, pids, e);
}

const struct command cmd_ps = {
    .name = "ps",
    .args = "ID [PS ARGUMENT...]",
    .summary = "List a container's processes by their host pids",
    .options = options,
    .in_order = true,
    .run = run,
};
