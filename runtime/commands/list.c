/* bailey list: the containers of a root. */
#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "runtime/commands/options.h"
#include "runtime/commands/target.h"

struct list_options {
    const char *format;
    bool quiet;
};

static const struct option_def options[] = {
    {"format", 'f', "table|json", offsetof(struct list_options, format), "a table, or a JSON array (table)"},
    {"quiet", 'q', NULL, offsetof(struct list_options, quiet), "ids only"},
    {NULL, 0, NULL, 0, NULL},
};

struct listing {
    const struct globals *g;
    const struct list_options *o;
    bool json;
    unsigned n;
};

static void print_one(struct listing *l, const struct target *t)
{
    enum status s = target_status(t);
    pid_t pid = s == STATUS_STOPPED ? 0 : t->rec.porter.pid;

    target_tidy(t, s);

    if (l->o->quiet) {
        puts(t->rec.id);
    } else if (l->json) {
        _cleanup_free_ char *text = record_state_json(&t->rec, s, pid, -1, NULL);
        printf("%s%s", l->n ? "," : "", text ? text : "null");
    } else {
        printf("%-20s %-10d %-10s %-30s %-32s %s\n", t->rec.id, (int)pid, status_name(s), t->rec.bundle,
               t->rec.created, t->rec.owner ? t->rec.owner : "");
    }
    l->n++;
}

/* A directory without a state is being made, or being removed. */
static int print_all(struct listing *l, struct err *e)
{
    _cleanup_closedir_ DIR *d = opendir(l->g->root);

    if (!d && errno != ENOENT)
        return err_set(e, ERR_SYS, errno, "the state directory %s", l->g->root);
    for (const struct dirent *f; d && (f = readdir(d));) {
        _cleanup_(target_close) struct target t = TARGET_INIT;
        struct err why = ERR_INIT;
        if (f->d_name[0] == '.' && (!f->d_name[1] || strcmp(f->d_name, "..") == 0))
            continue;
        if (target_open(l->g, f->d_name, false, &t, &why) == 0)
            print_one(l, &t);
        else if (why.code == ERR_SYS)
            log_warning("%s", why.msg);
    }
    return 0;
}

static int run(const struct globals *g, char **argv, struct err *e)
{
    struct list_options o = {.format = "table"};
    struct listing l = {.g = g, .o = &o};
    int r = command_options(&cmd_list, &argv, &o, e);

    if (r)
        return r < 0 ? -1 : 0;
    if (argv[0])
        return err_set(e, ERR_USAGE, 0, "list takes no argument, but there is \"%.60s\"", argv[0]);
    l.json = strcmp(o.format, "json") == 0;
    if (!o.quiet)
        l.json ? (void)fputs("[", stdout)
               : (void)printf("%-20s %-10s %-10s %-30s %-32s %s\n", "ID", "PID", "STATUS", "BUNDLE",
                              "CREATED", "OWNER");
    if (print_all(&l, e))
        return -1;
    if (l.json && !o.quiet)
        puts("]");
    return fflush(stdout) ? err_set(e, ERR_SYS, 0, "stdout") : 0;
}

const struct command cmd_list = {
    .name = "list",
    .args = "",
    .summary = "List the containers",
    .options = options,
    .run = run,
};
