/* bailey debug counters: why a program is slow, as far as its system calls are why. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "runtime/commands/options.h"
#include "runtime/commands/target.h"
#include "sandbox/platform/messages.h"

enum { CALLS_MAX = 512, NAME_MAX_BYTES = 32 };

struct debug_options {
    const char *format;
};

static const struct option_def options[] = {
    {"format", 'f', "table|json", offsetof(struct debug_options, format), "how they are printed (table)"},
    {NULL, 0, NULL, 0, NULL},
};

struct call {
    char name[NAME_MAX_BYTES];
    unsigned long calls, continued, posted, ns;
};

struct counters {
    int timed;
    unsigned long answered, transfers;
    struct call call[CALLS_MAX];
    size_t n;
};

static int take(FILE *f, struct counters *k, struct err *e)
{
    if (fscanf(f, "timed %d gate %lu %lu", &k->timed, &k->answered, &k->transfers) != 3)
        return err_set(e, ERR_SYS, EBADMSG, "the sandbox's counters");
    while (k->n < CALLS_MAX) {
        struct call *c = &k->call[k->n];
        if (fscanf(f, " call %31s %lu %lu %lu %lu", c->name, &c->calls, &c->continued, &c->posted, &c->ns) !=
            5)
            break;
        k->n++;
    }
    return 0;
}

static int by_calls(const void *a, const void *b)
{
    const struct call *x = a, *y = b;

    return (x->calls < y->calls) - (x->calls > y->calls);
}

static void print_table(const struct counters *k)
{
    printf("%-24s %12s %12s %12s %12s\n", "CALL", "KEEP", "THEN HOST", "NO DOORBELL",
           k->timed ? "KEEP'S US" : "");
    for (size_t i = 0; i < k->n; i++) {
        const struct call *c = &k->call[i];
        printf("%-24s %12lu %12lu %12lu", c->name, c->calls, c->continued, c->posted);
        if (k->timed)
            printf(" %12.0f", (double)c->ns / 1000);
        putchar('\n');
    }
    printf("\nby the gates of threads that run: %lu answered, %lu transfers on lanes\n", k->answered,
           k->transfers);
    if (!k->timed)
        puts("calls are timed from now on");
}

static void print_json(const struct counters *k)
{
    printf("{\"timed\":%s,\"gate\":{\"answered\":%lu,\"transfers\":%lu},\"calls\":{",
           k->timed ? "true" : "false", k->answered, k->transfers);
    for (size_t i = 0; i < k->n; i++)
        printf("%s\"%s\":{\"keep\":%lu,\"continued\":%lu,\"posted\":%lu,\"nanoseconds\":%lu}", i ? "," : "",
               k->call[i].name, k->call[i].calls, k->call[i].continued, k->call[i].posted, k->call[i].ns);
    puts("}}");
}

static int print(int fd, bool json, struct err *e)
{
    _cleanup_free_ struct counters *k = calloc(1, sizeof(*k));
    _cleanup_fclose_ FILE *f = fdopen(dup(fd), "r");

    if (!k || !f)
        return err_set(e, ERR_SYS, errno, "the sandbox's counters");
    rewind(f);
    if (take(f, k, e))
        return -1;
    qsort(k->call, k->n, sizeof(k->call[0]), by_calls);
    if (json)
        print_json(k);
    else
        print_table(k);
    return fflush(stdout) ? err_set(e, ERR_SYS, 0, "stdout") : 0;
}

static int run(const struct globals *g, char **argv, struct err *e)
{
    _cleanup_(target_close) struct target t = TARGET_INIT;
    struct debug_options o = {.format = "table"};
    int r = command_options(&cmd_debug, &argv, &o, e);

    if (r)
        return r < 0 ? -1 : 0;
    if (!argv[0])
        return err_set(e, ERR_USAGE, 0, "debug needs what to show: counters (see bailey debug --help)");
    if (strcmp(argv[0], "counters") != 0)
        return err_set(e, ERR_USAGE, 0, "debug shows counters, not \"%.64s\" (see bailey debug --help)",
                       argv[0]);
    if (!argv[1] || argv[2])
        return err_set(e, ERR_USAGE, 0, "debug counters takes one argument, the container's id");
    if (target_open(g, argv[1], false, &t, e))
        return -1;
    if (target_status(&t) == STATUS_STOPPED)
        return err_set(e, ERR_NOT_RUNNING, 0, "container not running: %.255s", t.rec.id);
    _cleanup_close_ int fd = target_ask_file(&t, CONTROL_COUNTERS, e);
    return fd < 0 ? -1 : print(fd, strcmp(o.format, "json") == 0, e);
}

const struct command cmd_debug = {
    .name = "debug",
    .args = "counters ID",
    .summary = "Show how often each system call came to the keep, and what it took there",
    .options = options,
    .run = run,
};
