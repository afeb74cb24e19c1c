/* bailey events: statistics and processes killed for want of memory, one JSON object per line as from runc.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/commands/idcmd.h"
#include "runtime/commands/stopsignal.h"
#include "runtime/commands/target.h"

struct events_options {
    const char *interval;
    bool stats;
};

static const struct option_def options[] = {
    {"stats", 0, NULL, offsetof(struct events_options, stats), "print the statistics once"},
    {"interval", 0, "TIME", offsetof(struct events_options, interval), "time between statistics (5s)"},
    {NULL, 0, NULL, 0, NULL},
};

/* The kernel tells that memory is out before it has counted who was killed for it. */
enum { OOM_CHECK_MS = 500 };

/* "5s", "500ms", "2m", or seconds. */
static int parse_interval(const char *text, long *ret_ms, struct err *e)
{
    static const struct {
        const char *unit;
        long ms;
    } units[] = {{"s", 1000}, {"ms", 1}, {"m", 60000}, {"h", 3600000}, {"", 1000}};
    char *end;
    long n = strtol(text, &end, 10);

    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (end != text && n > 0 && n < 100000 && strcmp(end, units[i].unit) == 0) {
            *ret_ms = n * units[i].ms;
            return 0;
        }
    return err_set(e, ERR_USAGE, 0, "option --interval: must be a time such as 5s, not \"%.40s\"", text);
}

static int print_stats(const struct target *t, const struct cgroup *cg, struct err *e)
{
    const char *stop_signal = stopsignal_disposition(t, stopsignal_of(&t->rec));

    printf("{\"type\":\"stats\",\"id\":\"%s\",\"data\":", t->dir.id);
    if (cgroup_print_stats(cg, stdout, e))
        return -1;
    if (stop_signal)
        printf(",\"%s\":\"%s\"", STOPSIGNAL_MEMBER, stop_signal);
    printf("}\n");
    return fflush(stdout) ? err_set(e, ERR_SYS, errno, "writing to stdout") : 0;
}

static void print_ooms(const struct cgroup *cg, const char *id, uint64_t *seen)
{
    uint64_t n = cgroup_oom_kills(cg);

    for (; *seen < n; ++*seen)
        printf("{\"type\":\"oom\",\"id\":\"%s\"}\n", id);
    (void)fflush(stdout);
}

static long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Until the container ends, or stdout is no longer read. */
static int follow(const struct target *t, const struct cgroup *cg, long interval, struct err *e)
{
    _cleanup_close_ int oom = cgroup_oom_watch(cg);
    uint64_t seen = cgroup_oom_kills(cg);
    long next = now_ms();
    char ignored[4096];

    for (;;) {
        struct pollfd fds[3] = {
            {.fd = t->porter, .events = POLLIN}, {.fd = STDOUT_FILENO}, {.fd = oom, .events = POLLIN}};
        print_ooms(cg, t->dir.id, &seen);
        if (now_ms() >= next) {
            if (print_stats(t, cg, e))
                return -1;
            next += interval;
        }
        if (poll(fds, ARRAY_SIZE(fds), OOM_CHECK_MS < interval ? OOM_CHECK_MS : (int)interval) < 0 &&
            errno != EINTR)
            return err_set(e, ERR_SYS, errno, "poll");
        if (fds[2].revents & POLLIN)
            (void)!read(oom, ignored, sizeof(ignored));
        if (fds[0].revents)
            print_ooms(cg, t->dir.id, &seen);
        if (fds[0].revents || fds[1].revents & POLLERR)
            return 0;
    }
}

static int events(const struct globals *g, const char *id, bool once, long interval, struct err *e)
{
    _cleanup_(target_close) struct target t = TARGET_INIT;
    struct cgroup cg;

    if (target_open(g, id, false, &t, e))
        return -1;
    if (target_status(&t) == STATUS_STOPPED)
        return err_set(e, ERR_NOT_RUNNING, 0, "container not running: %.255s", id);
    if (cgroup_load(&cg, t.dir.dir, e) < 0)
        return -1;
    return once ? print_stats(&t, &cg, e) : follow(&t, &cg, interval, e);
}

static int run(const struct globals *g, char **argv, struct err *e)
{
    struct events_options o = {.interval = "5s"};
    const char *id;
    long interval = 0;
    int r = command_options(&cmd_events, &argv, &o, e);

    if (r)
        return r < 0 ? -1 : 0;
    if (idcmd_id(&cmd_events, argv, &id, e) || parse_interval(o.interval, &interval, e))
        return -1;
    return events(g, id, o.stats, interval, e);
}

const struct command cmd_events = {
    .name = "events",
    .args = "ID",
    .summary = "Print a container's statistics, and when memory was out",
    .options = options,
    .run = run,
};
