/* bailey stop: asks a container to end, and sees to it. */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "runtime/commands/idcmd.h"
#include "runtime/commands/signame.h"
#include "runtime/commands/stopsignal.h"
#include "runtime/commands/target.h"

#define TIME_MAX 86400 /* a day */

struct stop_options {
    const char *time, *signal;
};

static const struct option_def options[] = {
    {"time", 't', "SECONDS", offsetof(struct stop_options, time),
     "how long it may take before it is killed (10)"},
    {"signal", 's', "SIGNAL", offsetof(struct stop_options, signal),
     "what asks it to end (the annotation org.opencontainers.image.stopSignal, else TERM)"},
    {NULL, 0, NULL, 0, NULL},
};

struct stop {
    const char *id;
    int sig; /* 0: what the container asks for */
    int seconds;
    const char *name; /* the signal's: "SIGTERM" */
};

static int take_values(const struct stop_options *o, struct stop *s, struct err *e)
{
    char *end;

    s->sig = o->signal ? signame_parse(o->signal) : 0;
    if (o->signal && s->sig < 1)
        return err_set(e, ERR_USAGE, 0, "unknown signal \"%.40s\"", o->signal);
    errno = 0;
    long seconds = strtol(o->time, &end, 10);
    if (errno || *end || end == o->time || o->time[0] < '0' || o->time[0] > '9' || seconds > TIME_MAX)
        return err_set(e, ERR_USAGE, 0,
                       "option --time: must be a number of seconds from 0 to %d, not \"%.40s\"", TIME_MAX,
                       o->time);
    s->seconds = (int)seconds;
    return 0;
}

/* What init does with the signal is known beforehand: then so is how this ends. */
static void warn_if_in_vain(const struct stop *s, const struct target *t, enum status status)
{
    if (s->sig == SIGKILL || s->sig == SIGSTOP)
        return;
    const char *how = stopsignal_disposition(t, s->sig);
    if (status == STATUS_PAUSED)
        log_warning("container %.255s is paused: it takes no %s before it is resumed", s->id, s->name);
    else if (how && strcmp(how, "ignored") == 0)
        log_warning("container %.255s: its first process ignores %s", s->id, s->name);
    else if (how && strcmp(how, "default") == 0)
        log_warning("container %.255s: its first process has no handler for %s, so %s does not end it", s->id,
                    s->name, s->name);
}

static double seconds_since(const struct timespec *begin)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begin->tv_sec) + (double)(now.tv_nsec - begin->tv_nsec) / 1e9;
}

static void say(const struct stop *s, const struct target *t, const char *how)
{
    int status = target_exit_status(t);

    printf("%s: %s", s->id, how);
    if (status > 128 && status < 128 + 65)
        printf(", exit status %d (%s)\n", status, stopsignal_name(status - 128).text);
    else if (status >= 0)
        printf(", exit status %d\n", status);
    else
        putchar('\n');
}

static int stop_container(const struct stop *s, struct target *t, struct err *e)
{
    struct timespec begin;
    struct err gone = ERR_INIT;
    char how[96];

    enum status status = target_status(t);

    if (status == STATUS_STOPPED) {
        say(s, t, "had ended before");
        return 0;
    }
    warn_if_in_vain(s, t, status);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (target_signal(t, s->sig, &gone) < 0 || procid_wait(t->porter, s->seconds * 1000)) {
        snprintf(how, sizeof(how), "ended by itself %.1f s after %s", seconds_since(&begin), s->name);
        say(s, t, how);
        return 0;
    }
    if (target_end(t, e))
        return -1;
    snprintf(how, sizeof(how), "killed, not having ended %d s after %s", s->seconds, s->name);
    say(s, t, how);
    return 0;
}

static int run(const struct globals *g, char **argv, struct err *e)
{
    _cleanup_(target_close) struct target t = TARGET_INIT;
    struct stop_options o = {.time = "10"};
    struct stop s = {.id = NULL};

    int r = command_options(&cmd_stop, &argv, &o, e);

    if (r)
        return r < 0 ? -1 : 0;
    if (idcmd_id(&cmd_stop, argv, &s.id, e) || take_values(&o, &s, e))
        return -1;
    if (target_open(g, s.id, false, &t, e))
        return -1;
    if (!s.sig)
        s.sig = stopsignal_of(&t.rec);
    struct stopsignal_name name = stopsignal_name(s.sig);
    s.name = name.text;
    return stop_container(&s, &t, e);
}

const struct command cmd_stop = {
    .name = "stop",
    .args = "ID",
    .summary = "Ask a container to end, and kill it if it does not in time",
    .options = options,
    .run = run,
};
