/* bailey run: create a container, start it, stay with it to its end. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "runtime/making.h"
#include "runtime/options.h"

static const struct option_def options[] = {
    {"detach", 'd', NULL, offsetof(struct making_options, detach), "return once the program runs"},
    MAKING_OPTION_DEFS,
};

static void forward_signals(struct making *m)
{
    struct signalfd_siginfo si;

    while (read(m->signals, &si, sizeof(si)) == sizeof(si)) {
        int sig = (int)si.ssi_signo;
        if (sig == SIGWINCH && m->console.raw)
            console_resize(&m->console);
        else if (sig != SIGPIPE || si.ssi_pid != (uint32_t)getpid()) /* our own writes raise SIGPIPE, too */
            (void)kill(m->launch.porter, sig);
    }
}

/* Serves the terminal and the signals until the porter is gone. */
static int attend(struct making *m, struct err *e)
{
    _cleanup_close_ int porter = (int)syscall(SYS_pidfd_open, m->launch.porter, 0);

    if (porter < 0)
        return err_set(e, ERR_SYS, errno, "pidfd_open");
    for (;;) {
        struct pollfd fds[5] = {{.fd = porter, .events = POLLIN}, {.fd = m->signals, .events = POLLIN}};
        console_poll_fds(&m->console, fds + 2);
        if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
            return err_set(e, ERR_SYS, errno, "poll");
        if (fds[1].revents)
            forward_signals(m);
        console_copy(&m->console, fds + 2);
        if (fds[0].revents)
            return 0;
    }
}

/* Other commands may work on it now, until it is removed here. */
static int stay(struct making *m, struct err *e)
{
    struct err gone = ERR_INIT;

    state_unlock(&m->state);
    int failed = attend(m, e);
    if (!failed) {
        int status = launch_wait(&m->launch, e);
        console_drain(&m->console);
        if (state_lock(&m->state, &gone) == 0) {
            cgroup_remove(&m->cgroup, m->state.dir);
            state_remove(&m->state);
        }
        making_poststop(m);
        return status;
    }
    making_undo(m);
    return -1;
}

static int run_container(struct making *m, struct err *e)
{
    if (making_create(m, e))
        return -1;
    if ((m->console.master >= 0 && console_attach(&m->console, e)) || making_start(m, e)) {
        making_undo(m);
        return -1;
    }
    return m->o.detach ? 0 : stay(m, e);
}

static int run(const struct globals *g, char **argv, struct err *e)
{
    _cleanup_(making_release) struct making m = MAKING_INIT(g);

    if (making_arguments(&m, &cmd_run, argv, e))
        return -1;
    if (m.o.help) {
        command_help(&cmd_run);
        return 0;
    }
    m.foreground = !m.o.detach;
    return run_container(&m, e);
}

const struct command cmd_run = {
    .name = "run",
    .args = "ID",
    .summary = "Create a container, start it and wait for its end",
    .options = options,
    .run = run,
};
