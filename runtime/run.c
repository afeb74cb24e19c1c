/* bailey run: create a container, start it, stay with it to its end. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "oci/config.h"
#include "runtime/cgroup.h"
#include "runtime/cmd.h"
#include "runtime/console.h"
#include "runtime/hooks.h"
#include "runtime/kernel.h"
#include "runtime/launch.h"
#include "runtime/options.h"
#include "runtime/pidfile.h"
#include "runtime/state.h"

struct run_options {
    const char *bundle, *pid_file, *console_socket;
    bool help;
};

static const struct option_def options[] = {
    {"bundle", 'b', "DIR", offsetof(struct run_options, bundle), "the directory with config.json (.)"},
    {"pid-file", 0, "FILE", offsetof(struct run_options, pid_file),
     "write the host pid that stands for the container to FILE"},
    {"console-socket", 0, "SOCKET", offsetof(struct run_options, console_socket),
     "send the terminal's master to this unix socket"},
    {"help", 'h', NULL, offsetof(struct run_options, help), "show help"},
    {NULL, 0, NULL, 0, NULL},
};

/* One run from its arguments to its end. */
struct run {
    const struct globals *g;
    struct run_options o;
    const char *id;
    char bundle[PATH_MAX];
    struct oci_config *config;
    struct state_dir state;
    struct cgroup cgroup;
    struct console console;
    struct launch launch;
    struct hooks hooks;
    int signals; /* signalfd with all that can be forwarded */
};

static int read_arguments(struct run *r, char **argv, struct err *e)
{
    int argi = 1;

    r->o.bundle = ".";
    if (options_parse(options, "bailey run", argv, &argi, &r->o, e))
        return -1;
    if (r->o.help)
        return 0;
    if (!argv[argi])
        return err_set(e, ERR_USAGE, 0, "run needs a container id (see bailey run --help)");
    if (argv[argi + 1])
        return err_set(e, ERR_USAGE, 0, "run takes one argument, the id; there is also \"%.60s\"",
                       argv[argi + 1]);
    r->id = argv[argi];
    return state_check_id(r->id, e);
}

/* What launch_sandbox would find out late is said early, with nothing to undo. */
static int check_config(const struct run *r, struct err *e)
{
    const struct oci_config *c = r->config;
    _cleanup_close_ int bundle = open(r->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat st;

    if (!c->process)
        return err_set(e, ERR_CONFIG, 0, "config.json: process: is required to run a container");
    /* To ignore this would give the container's root the rights of the host's over the files of its mounts.
     */
    if (c->lx.ns[OCI_NS_USER].set || c->lx.nuid_mappings > 0 || c->lx.ngid_mappings > 0)
        return err_set(e, ERR_UNSUPPORTED, 0, "config.json: linux.namespaces: \"user\" is not supported yet");
    if (bundle < 0)
        return err_set(e, ERR_SYS, errno, "bundle %s", r->bundle);
    if (fstatat(bundle, c->root.path, &st, 0))
        return err_set(e, ERR_NOENT, errno, "config.json: root.path: %.300s", c->root.path);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_CONFIG, ENOTDIR, "config.json: root.path: %.300s", c->root.path);
    if (r->o.console_socket && !c->process->terminal)
        return err_set(e, ERR_USAGE, 0, "option --console-socket needs process.terminal in config.json");
    if (c->process->terminal && !r->o.console_socket && !isatty(STDIN_FILENO))
        return err_set(e, ERR_USAGE, 0,
                       "process.terminal is set, but stdin is not a terminal and there is no "
                       "--console-socket");
    return 0;
}

static int load(struct run *r, struct err *e)
{
    if (geteuid() != 0)
        return err_set(e, ERR_PERM, 0, "bailey run needs root");
    if (kernel_check(e))
        return -1;
    if (!realpath(r->o.bundle, r->bundle))
        return err_set(e, errno == ENOENT ? ERR_NOENT : ERR_SYS, errno, "bundle %.300s", r->o.bundle);
    if (oci_config_load(r->bundle, &r->config, e))
        return -1;
    return check_config(r, e);
}

/* From here on no signal ends this process: each waits in the descriptor until it can be forwarded. Those
 * that a fault of our own raises keep their meaning. */
static int hold_signals(struct run *r, struct err *e)
{
    static const int not_ours[] = {SIGCHLD, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t set;

    sigfillset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(not_ours); i++)
        sigdelset(&set, not_ours[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL))
        return err_set(e, ERR_SYS, errno, "sigprocmask");
    r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return r->signals < 0 ? err_set(e, ERR_SYS, errno, "signalfd") : 0;
}

static int open_console(struct run *r, struct err *e)
{
    const struct oci_process *p = r->config->process;

    if (!p->terminal)
        return 0;
    if (console_open(&r->console, p->console_height, p->console_width, e))
        return -1;
    return r->o.console_socket ? console_send(&r->console, r->o.console_socket, e) : 0;
}

static int mounted(void *arg, pid_t porter, struct err *e)
{
    struct run *r = arg;
    return hooks_creating(&r->hooks, porter, e);
}

static int before_pivot(void *arg, pid_t porter, struct err *e)
{
    const struct run *r = arg;
    return hooks_before_pivot(&r->hooks, porter, e);
}

/* What a killed run of the same id left is taken away first. */
static int make_cgroup(struct run *r, struct err *e)
{
    if (cgroup_load(&r->cgroup, r->state.dir, e) == 0)
        cgroup_remove(&r->cgroup, r->state.dir);
    if (cgroup_plan(&r->cgroup, r->config->lx.cgroups_path, r->id, e))
        return -1;
    return cgroup_create(&r->cgroup, &r->config->lx.resources, r->state.dir, e);
}

static int enter_cgroup(void *arg, pid_t porter, struct err *e)
{
    struct run *r = arg;

    return cgroup_enter(&r->cgroup, &r->config->lx.resources, porter, e);
}

static int create(struct run *r, struct err *e)
{
    if (state_create(r->g->root, r->id, &r->state, e) || open_console(r, e) || make_cgroup(r, e))
        return -1;
    r->launch = (struct launch){
        .config = r->config,
        .id = r->id,
        .bundle = r->bundle,
        .stdio = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO},
        .tty_slave = r->console.slave,
        .strace = r->g->strace,
        .debug = r->g->debug,
        .foreground = true,
        .control_fd = -1,
        .listen_fd = -1,
        .status_fd = -1,
        .steps = {.arg = r, .porter_made = enter_cgroup, .mounted = mounted, .before_pivot = before_pivot},
    };
    hooks_init(&r->hooks, r->config, r->id, r->bundle);
    if (launch_sandbox(&r->launch, e))
        return -1;
    /* The slave is the container's now: the master ends when the container's copies are closed. */
    cleanup_close_p(&r->console.slave);
    r->console.slave = -1;
    return 0;
}

static void forward_signals(struct run *r)
{
    struct signalfd_siginfo si;

    while (read(r->signals, &si, sizeof(si)) == sizeof(si)) {
        int sig = (int)si.ssi_signo;
        if (sig == SIGWINCH && r->console.raw)
            console_resize(&r->console);
        else if (sig != SIGPIPE || si.ssi_pid != (uint32_t)getpid()) /* our own writes raise SIGPIPE, too */
            (void)kill(r->launch.porter, sig);
    }
}

/* Serves the terminal and the signals until the porter is gone. */
static int attend(struct run *r, struct err *e)
{
    _cleanup_close_ int porter = (int)syscall(SYS_pidfd_open, r->launch.porter, 0);

    if (porter < 0)
        return err_set(e, ERR_SYS, errno, "pidfd_open");
    for (;;) {
        struct pollfd fds[5] = {{.fd = porter, .events = POLLIN}, {.fd = r->signals, .events = POLLIN}};
        console_poll_fds(&r->console, fds + 2);
        if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
            return err_set(e, ERR_SYS, errno, "poll");
        if (fds[1].revents)
            forward_signals(r);
        console_copy(&r->console, fds + 2);
        if (fds[0].revents)
            return 0;
    }
}

static int start(struct run *r, struct err *e)
{
    const struct launch *l = &r->launch;
    struct launch_exec sandbox = {
        .control_fd = l->control_fd, .keep = l->keep, .porter = l->porter, .strace = l->strace};

    if (hooks_start_container(&r->hooks, &sandbox, e) || launch_start(l->control_fd, e))
        return -1;
    return hooks_poststart(&r->hooks, l->porter, e);
}

/* After launch_sandbox: a failure here must end what it started. */
static int start_and_wait(struct run *r, struct err *e)
{
    if (cgroup_settle(&r->cgroup, &r->config->lx.resources, r->launch.porter, e))
        return -1;
    if (r->o.pid_file && pidfile_write(r->o.pid_file, r->launch.porter, e))
        return -1;
    if (r->console.master >= 0 && console_attach(&r->console, e))
        return -1;
    if (start(r, e))
        return -1;
    return attend(r, e);
}

static int run_container(struct run *r, struct err *e)
{
    struct err ignored = ERR_INIT;

    if (create(r, e))
        return -1;
    int failed = start_and_wait(r, e);
    if (failed) {
        (void)kill(r->launch.porter, SIGKILL);
        if (r->o.pid_file)
            (void)unlink(r->o.pid_file);
    }
    int status = launch_wait(&r->launch, failed ? &ignored : e);
    console_drain(&r->console);
    return failed ? -1 : status;
}

static void run_release(struct run *r)
{
    console_close(&r->console);
    cgroup_remove(&r->cgroup, r->state.dir);
    state_remove(&r->state);
    if (r->hooks.begun)
        hooks_poststop(&r->hooks);
    cleanup_close_p(&r->launch.control_fd);
    cleanup_close_p(&r->signals);
    oci_config_free(r->config);
}

static int run(const struct globals *g, char **argv, struct err *e)
{
    _cleanup_(run_release) struct run r = {.g = g,
                                           .state = STATE_DIR_INIT,
                                           .console = CONSOLE_INIT,
                                           .launch = {.control_fd = -1, .listen_fd = -1, .status_fd = -1},
                                           .signals = -1};

    if (read_arguments(&r, argv, e))
        return -1;
    if (r.o.help) {
        command_help(&cmd_run);
        return 0;
    }
    if (load(&r, e) || hold_signals(&r, e))
        return -1;
    return run_container(&r, e);
}

const struct command cmd_run = {
    .name = "run",
    .args = "ID",
    .summary = "Create a container, start it and wait for its end",
    .options = options,
    .run = run,
};
