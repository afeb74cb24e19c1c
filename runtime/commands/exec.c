/* bailey exec: one more program in a container that runs. */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "runtime/launch/attend.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/launch/confine.h"
#include "runtime/launch/exec_process.h"
#include "runtime/launch/launch.h"
#include "runtime/launch/launch_internal.h"
#include "runtime/launch/lsm.h"
#include "runtime/commands/options.h"
#include "runtime/launch/passed.h"
#include "runtime/state/pidfile.h"
#include "runtime/seccomp/seccomp_store.h"
#include "runtime/seccomp/seccomp_agent.h"
#include "runtime/sendfd.h"
#include "runtime/commands/target.h"

static const struct option_def options[] = {
    {"process", 'p', "FILE", offsetof(struct exec_options, process),
     "a JSON file with the process object, instead of arguments"},
    {"detach", 'd', NULL, offsetof(struct exec_options, detach), "return once the program runs"},
    {"pid-file", 0, "FILE", offsetof(struct exec_options, pid_file),
     "write the host pid that stands for the program to FILE"},
    {"console-socket", 0, "SOCKET", offsetof(struct exec_options, console_socket),
     "send the terminal's master to this unix socket"},
    {"tty", 't', NULL, offsetof(struct exec_options, tty), "give it a terminal"},
    {"env", 'e', "NAME=VALUE...", offsetof(struct exec_options, env), "set a variable"},
    {"cwd", 0, "DIR", offsetof(struct exec_options, cwd), "its working directory"},
    {"user", 'u', "UID[:GID]", offsetof(struct exec_options, user), "its user and group, as numbers"},
    {"additional-gids", 'g', "GID...", offsetof(struct exec_options, gids), "one more group"},
    {"cap", 'c', "CAP...", offsetof(struct exec_options, caps), "one more capability"},
    {"no-new-privs", 0, NULL, offsetof(struct exec_options, no_new_privs), "set no_new_privs"},
    {"process-label", 0, "LABEL", offsetof(struct exec_options, process_label), "its SELinux label"},
    {"apparmor", 0, "PROFILE", offsetof(struct exec_options, apparmor), "its AppArmor profile"},
    {"pidfd-socket", 0, "SOCKET", offsetof(struct exec_options, pidfd_socket),
     "send a pidfd of the process that stands for the program to this unix socket"},
    {"preserve-fds", 0, "N", offsetof(struct exec_options, preserve_fds),
     "pass N more descriptors to the program, from 3 on (0)"},
    {"cgroup", 0, "[CONTROLLER:]PATH...", offsetof(struct exec_options, cgroups),
     "run it in this control group below the container's"},
    {"ignore-paused", 0, NULL, offsetof(struct exec_options, ignore_paused),
     "also in a paused container, where it runs when that is resumed"},
    {NULL, 0, NULL, 0, NULL},
};

struct exec {
    const struct globals *g;
    struct exec_options o;
    struct target target;
    struct oci_config *config; /* of --process; else the container's */
    struct oci_process process;
    struct seccomp_profile seccomp;
    struct keep_confine confine;
    struct guest_label label;
    struct cgroup cgroup;
    struct console console;
    int keep, signals;
    int keep_fd; /* its pidfd */
    int more;    /* what the program gets from 3 on: runtime/launch/passed.h */
};

static void exec_release(struct exec *x)
{
    console_close(&x->console);
    target_close(&x->target);
    oci_config_free(x->config);
    seccomp_profile_free(&x->seccomp);
    lsm_release(&x->label);
    cleanup_close_p(&x->keep);
    cleanup_close_p(&x->keep_fd);
    cleanup_close_p(&x->signals);
    cleanup_close_p(&x->more);
}

static int open_console(struct exec *x, struct err *e)
{
    const struct oci_process *p = &x->process;

    if (!p->terminal)
        return x->o.console_socket
                   ? err_set(e, ERR_USAGE, 0, "option --console-socket needs --tty or process.terminal")
                   : 0;
    if (!x->o.console_socket && (x->o.detach || !isatty(STDIN_FILENO)))
        return err_set(e, ERR_USAGE, 0, "a terminal is asked for, but there is no --console-socket and %s",
                       x->o.detach ? "--detach is given" : "stdin is no terminal");
    if (console_open(&x->console, p->console_height, p->console_width, !x->o.console_socket, e))
        return -1;
    return x->o.console_socket ? console_send(&x->console, x->o.console_socket, e) : 0;
}

static int enter_cgroup(void *arg, pid_t porter, struct err *e)
{
    const struct exec *x = arg;
    return cgroup_attach_at(&x->cgroup, &x->o.cgroups, porter, e);
}

static int inform_agent(void *arg, pid_t porter, int fd, struct err *e)
{
    const struct exec *x = arg;
    const struct agent_process p = {x->target.rec.id, x->target.rec.bundle, "running",
                                    x->target.rec.porter.pid, porter};

    return agent_inform(x->target.config, &p, fd, e);
}

static int launch(struct exec *x, pid_t *ret, struct err *e)
{
    struct launch_exec l = {
        .process = &x->process,
        .control_fd = x->keep,
        .keep = x->target.rec.keep.pid,
        .keep_fd = x->keep_fd,
        .porter_fd = x->target.porter,
        .stdio = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO},
        .tty_slave = x->console.slave,
        .more_fd = x->more,
        .seccomp = &x->seccomp,
        .confine = &x->confine,
        .label = &x->label,
        .strace = x->g->strace,
        .foreground = !x->o.detach,
        /* What is frozen would hold up who makes the porter; and its processors are to be set before it is in
           there. */
        .cgroup = x->o.cgroups.n || x->o.ignore_paused || x->process.affinity_initial ? NULL : &x->cgroup,
        .arg = x,
        .porter_made = enter_cgroup,
        .listener_made = inform_agent,
    };

    if (launch_exec(&l, e))
        return -1;
    cleanup_close_p(&l.seccomp_fd);
    *ret = l.exec_porter;
    cleanup_close_p(&x->console.slave);
    x->console.slave = -1;
    return 0;
}

static int wait_for(pid_t porter, struct err *e)
{
    int status;

    while (waitpid(porter, &status, 0) < 0)
        if (errno != EINTR)
            return err_set(e, ERR_SYS, errno, "cannot wait for the program");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int stay(struct exec *x, pid_t porter, struct err *e)
{
    if ((x->console.master >= 0 && console_attach(&x->console, e)) ||
        attend(x->signals, &x->console, porter, e)) {
        launch_put_down(porter);
        return -1;
    }
    int status = wait_for(porter, e);
    console_drain(&x->console);
    return status;
}

static int exec(struct exec *x, struct err *e)
{
    pid_t porter;

    enum status s = target_status(&x->target);

    if (s == STATUS_PAUSED && !x->o.ignore_paused)
        return err_set(e, ERR_STATE, 0, "container %.255s is paused (see --ignore-paused)", x->target.rec.id);
    if (s != STATUS_RUNNING && s != STATUS_PAUSED)
        return err_set(e, ERR_NOT_RUNNING, 0, "container not running: %.255s is %s", x->target.rec.id,
                       status_name(s));
    if (cgroup_load(&x->cgroup, x->target.dir.dir, e) < 0)
        return -1;
    x->keep_fd = procid_open(&x->target.rec.keep);
    if (x->keep_fd < 0)
        return err_set(e, ERR_NOT_RUNNING, 0, "container not running: %.255s", x->target.rec.id);
    x->keep = target_connect(&x->target, e);
    x->signals = x->keep < 0 ? -1 : attend_hold_signals(e);
    if (x->signals < 0 || open_console(x, e) || launch(x, &porter, e))
        return -1;
    if ((x->o.pid_file && pidfile_write(x->o.pid_file, porter, e)) ||
        sendfd_pidfd(x->o.pidfd_socket, "setns", porter, e) || launch_detach(x->keep, e)) {
        launch_put_down(porter);
        return -1;
    }
    /* The keep serves few connections at once. */
    cleanup_close_p(&x->keep);
    x->keep = -1;
    return x->o.detach ? 0 : stay(x, porter, e);
}

static int load_process(struct exec *x, char **args, struct err *e)
{
    if (x->o.process && args[0])
        return err_set(e, ERR_USAGE, 0, "exec takes --process or arguments, not both");
    if (!x->o.process && !args[0])
        return err_set(e, ERR_USAGE, 0, "exec needs a program (see bailey exec --help)");
    if (target_load_config(&x->target, e) ||
        seccomp_restore(x->target.dir.dir, x->target.config->lx.seccomp, &x->seccomp, e))
        return -1;
    if (x->o.process) {
        if (oci_process_load(x->o.process, &x->config, e))
            return -1;
        x->process = *x->config->process;
        return exec_process_options(&x->o, x->config, &x->process, e);
    }
    return exec_process_args(&x->o, x->target.config, args, &x->process, e);
}

static int run(const struct globals *g, char **argv, struct err *e)
{
    _cleanup_(exec_release) struct exec x = {.g = g,
                                             .target = TARGET_INIT,
                                             .console = CONSOLE_INIT,
                                             .keep = -1,
                                             .signals = -1,
                                             .keep_fd = -1,
                                             .label = GUEST_LABEL_INIT,
                                             .more = -1};
    int r = command_options(&cmd_exec, &argv, &x.o, e);

    if (r)
        return r < 0 ? -1 : 0;
    if (passed_collect(g->inherited, x.o.preserve_fds, NULL, &x.more, e))
        return -1;
    if (!argv[0])
        return err_set(e, ERR_USAGE, 0, "exec needs a container id (see bailey exec --help)");
    char **args = argv + 1;
    if (args[0] && strcmp(args[0], "--") == 0)
        args++;
    if (target_open(g, argv[0], false, &x.target, e) || load_process(&x, args, e))
        return -1;
    if (confine_init(&x.process, &x.target.config->lx, &x.confine, e) || lsm_init(&x.process, &x.label, e))
        return -1;
    return exec(&x, e);
}

const struct command cmd_exec = {
    .name = "exec",
    .args = "ID [PROGRAM ARGUMENT...]",
    .summary = "Run one more program in a running container",
    .options = options,
    .in_order = true,
    .passes_fds = true,
    .enters = true,
    .run = run,
    .failed = 255,
};
