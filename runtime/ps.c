/* bailey ps: the processes of a container, by their host pids. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "runtime/options.h"
#include "runtime/target.h"
#include "sandbox/platform/messages.h"

struct ps_options {
    const char *format;
};

static const struct option_def options[] = {
    {"format", 'f', "table|json", offsetof(struct ps_options, format),
     "a table, or a JSON array of pids (table)"},
    {NULL, 0, NULL, 0, NULL},
};

static int ask(const struct target *t, struct err *e)
{
    struct control_msg m = {.type = CONTROL_PIDS};
    _cleanup_close_ int keep = target_connect(t, e);
    int fd = -1;

    if (keep < 0)
        return -1;
    int r = msg_send(keep, &m, sizeof(m), -1);
    if (r == 0)
        r = msg_recv(keep, &m, sizeof(m), &fd);
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "cannot speak to the sandbox");
    return fd < 0 ? err_set(e, ERR_SYS, 0, "the sandbox answered out of turn") : fd;
}

static void print_table_row(int pid)
{
    char path[32], name[64] = "?";

    snprintf(path, sizeof(path), "/proc/%d/comm", pid);
    _cleanup_fclose_ FILE *f = fopen(path, "re");
    if (f && fgets(name, sizeof(name), f))
        name[strcspn(name, "\n")] = '\0';
    for (char *s = name; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
    printf("%-10d %s\n", pid, name);
}

static int print(int fd, bool json, struct err *e)
{
    const char *comma = "";
    int pid;

    fputs(json ? "[" : "PID        COMMAND\n", stdout);
    for (off_t at = 0; pread(fd, &pid, sizeof(pid), at) == sizeof(pid); at += (off_t)sizeof(pid)) {
        if (json)
            printf("%s%d", comma, pid);
        else
            print_table_row(pid);
        comma = ",";
    }
    if (json)
        puts("]");
    return fflush(stdout) ? err_set(e, ERR_SYS, 0, "stdout") : 0;
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
    _cleanup_close_ int fd = ask(&t, e);
    return fd < 0 ? -1 : print(fd, json, e);
}

const struct command cmd_ps = {
    .name = "ps",
    .args = "ID",
    .summary = "List a container's processes by their host pids",
    .options = options,
    .in_order = true,
    .run = run,
};
