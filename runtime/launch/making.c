#include "runtime/launch/making.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/version.h"
#include "oci/config.h"
#include "runtime/launch/attend.h"
#include "runtime/rootfs/device_view.h"
#include "runtime/commands/idcmd.h"
#include "runtime/kernel.h"
#include "runtime/state/keepsock.h"
#include "runtime/launch/passed.h"
#include "runtime/state/pidfile.h"
#include "runtime/seccomp/seccomp_agent.h"
#include "runtime/seccomp/seccomp_store.h"
#include "runtime/hooks/poststop.h"
#include "runtime/sendfd.h"
#include "runtime/launch/starting.h"
#include "runtime/sysctl.h"
#include "runtime/textfile.h"

/* Arguments and config.json ---------------------------------------------------------------------------------
 */

int making_arguments(struct making *m, const struct command *c, char **argv, struct err *e)
{
    m->o.bundle = ".";
    int r = command_options(c, &argv, &m->o, e);
    if (r)
        return r;
    return idcmd_id(c, argv, &m->id, e) || state_check_id(m->id, e) ? -1 : 0;
}

static int check_terminal(const struct making *m, struct err *e)
{
    bool terminal = m->config->process && m->config->process->terminal;

    if (m->o.console_socket && !terminal)
        return err_set(e, ERR_USAGE, 0, "option --console-socket needs process.terminal in config.json");
    if (!terminal || m->o.console_socket)
        return 0;
    if (!m->foreground)
        return err_set(e, ERR_USAGE, 0, "process.terminal is set, but there is no --console-socket");
    if (!isatty(STDIN_FILENO))
        return err_set(e, ERR_USAGE, 0,
                       "process.terminal is set, but stdin is not a terminal and there is no "
                       "--console-socket");
    return 0;
}

/* What launch_sandbox would find out late is said early, with nothing to undo. */
static int check_config(struct making *m, struct err *e)
{
    const struct oci_config *c = m->config;
    _cleanup_close_ int bundle = open(m->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    bool absolute = c->root.path[0] == '/';

    /* A container may be made without; start is what needs it. */
    if (!c->process && m->starts)
        return err_set(e, ERR_CONFIG, 0, "config.json: process: is required to run a container");
    if (userns_check(c, e))
        return -1;
    if (bundle < 0)
        return err_set(e, ERR_SYS, errno, "bundle %s", m->bundle);
    if (fstatat(bundle, c->root.path, &st, 0))
        return err_set(e, ERR_NOENT, errno, "config.json: root.path: %.300s", c->root.path);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_CONFIG, ENOTDIR, "config.json: root.path: %.300s", c->root.path);
    int n = snprintf(m->rootfs, sizeof(m->rootfs), "%s%s%s", absolute ? "" : m->bundle, absolute ? "" : "/",
                     c->root.path);
    if (n >= (int)sizeof(m->rootfs))
        return err_set(e, ERR_CONFIG, ENAMETOOLONG, "config.json: root.path");
    return check_terminal(m, e);
}

static int take_passed(struct making *m, struct err *e)
{
    unsigned listen;

    if (passed_collect(m->g->inherited, m->o.preserve_fds, &listen, &m->more, e))
        return -1;
    m->notify = passed_notify();
    passed_announce(m->config, listen, m->notify >= 0);
    return 0;
}

static int load(struct making *m, struct err *e)
{
    if (kernel_check(e))
        return -1;
    if (!realpath(m->o.bundle, m->bundle))
        return err_set(e, errno == ENOENT ? ERR_NOENT : ERR_SYS, errno, "bundle %.300s", m->o.bundle);
    if (m->o.config ? oci_config_load_file(m->o.config, &m->config, e)
                    : oci_config_load(m->bundle, &m->config, e))
        return -1;
    if (check_config(m, e) || sysctl_check(m->config, e) || device_view_check(m->config, e) ||
        take_passed(m, e))
        return -1;
    if (confine_init(m->config->process, &m->config->lx, &m->confine, e))
        return -1;
    lsm_label_mounts(m->config);
    if (lsm_init(m->config->process, &m->label, e))
        return -1;
    return seccomp_compile(m->config->lx.seccomp, &m->seccomp, e);
}

/* The steps -------------------------------------------------------------------------------------------------
 */

static int hold_signals(struct making *m, struct err *e)
{
    m->signals = attend_hold_signals(e);
    return m->signals < 0 ? -1 : 0;
}

static int note_hooks(struct making *m, struct err *e)
{
    (void)e;
    hooks_init(&m->hooks, m->config, m->id, m->bundle);
    return 0;
}

void making_poststop(struct making *m)
{
    poststop_run(m->state.dir, m->id, &m->hooks);
}

static int make_dir(struct making *m, struct err *e)
{
    return state_create(m->g->root, m->id, &m->state, e);
}

static void remove_dir(struct making *m)
{
    state_remove(&m->state);
}

/* What a killed command of the same id left is taken away first. */
static int clean(struct making *m, struct err *e)
{
    if (cgroup_load(&m->cgroup, m->state.dir, e) == 0)
        cgroup_remove(&m->cgroup, m->state.dir);
    poststop_run(m->state.dir, m->id, NULL);
    state_empty(&m->state);
    return 0;
}

static int make_files(struct making *m, struct err *e)
{
    /* Later commands need the configuration that the container was made from. */
    if (textfile_replace(m->state.dir, "config.json", m->config->text, e))
        return -1;
    seccomp_store(m->state.dir, m->config->lx.seccomp, &m->seccomp);
    m->exit_file = openat(m->state.dir, "exit", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    m->listen = keepsock_listen(m->state.dir);
    if (m->exit_file < 0 || m->listen < 0)
        return err_set(e, ERR_SYS, errno, "the state directory of container %.255s", m->id);
    return 0;
}

/* A user who may not make any goes without, limits and all. */
static int without_cgroup(struct making *m, const struct err *e)
{
    if (m->g->rootless != ROOTLESS_TRUE || e->code != ERR_PERM)
        return -1;
    log_warning("%s: the container has no control group, and no limits", e->msg);
    m->cgroup = (struct cgroup){.ntrees = 0};
    m->config->lx.resources = (struct oci_resources){.ndevices = 0};
    return 0;
}

/* Where the config names no cgroup: ids are unique below one --root only, state directories everywhere. */
static int make_cgroup(struct making *m, struct err *e)
{
    char name[256];
    struct stat st;

    if (m->g->cgroup_manager == CGROUP_MANAGER_DISABLED)
        return 0;
    if (m->g->cgroup_manager == CGROUP_MANAGER_SYSTEMD)
        return cgroup_plan_unit(&m->cgroup, m->config, m->id, m->state.dir, e);
    if (fstat(m->state.dir, &st))
        return err_set(e, ERR_SYS, errno, "the state directory of container %.255s", m->id);
    snprintf(name, sizeof(name), "%.200s-%lx", m->id, (unsigned long)st.st_ino);
    if (cgroup_plan(&m->cgroup, m->config->lx.cgroups_path, name, e))
        return -1;
    if (cgroup_create(&m->cgroup, &m->config->lx.resources, m->state.dir, e) == 0)
        return 0;
    return without_cgroup(m, e);
}

static void remove_cgroup(struct making *m)
{
    cgroup_remove(&m->cgroup, m->state.dir);
}

static int make_console(struct making *m, struct err *e)
{
    const struct oci_process *p = m->config->process;

    if (!p || !p->terminal)
        return 0;
    if (console_open(&m->console, p->console_height, p->console_width, !m->o.console_socket, e))
        return -1;
    return m->o.console_socket ? console_send(&m->console, m->o.console_socket, e) : 0;
}

static void close_console(struct making *m)
{
    console_close(&m->console);
}

static int enter_cgroup(void *arg, pid_t porter, struct err *e)
{
    struct making *m = arg;

    if (m->cgroup.unit[0] && cgroup_start_unit(&m->cgroup, m->config, m->id, porter, m->state.dir, e))
        return -1;
    if (cgroup_enter(&m->cgroup, &m->config->lx.resources, porter, e))
        return -1;
    return cgroup_delegate(&m->cgroup, m->config, e);
}

static bool has_hooks(const struct oci_config *c)
{
    for (int i = 0; i < OCI_HOOK_KINDS; i++)
        if (c->hooks[i].n > 0)
            return true;
    return false;
}

static int mounted(void *arg, pid_t porter, struct err *e)
{
    struct making *m = arg;

    if (has_hooks(m->config) && poststop_note(m->state.dir, &m->hooks, e))
        return -1;
    return hooks_creating(&m->hooks, porter, e);
}

static int before_pivot(void *arg, pid_t porter, struct err *e)
{
    const struct making *m = arg;
    return hooks_before_pivot(&m->hooks, porter, e);
}

static int find_pod(struct making *m, struct err *e)
{
    return pod_find(m->g, m->config, &m->pod, e);
}

static int make_sandbox(struct making *m, struct err *e)
{
    m->launch = (struct launch){
        .config = m->config,
        .id = m->id,
        .bundle = m->bundle,
        .stdio = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO},
        .tty_slave = m->console.slave,
        .more_fd = m->more,
        .notify_fd = m->notify,
        .seccomp = &m->seccomp,
        .confine = &m->confine,
        .label = &m->label,
        .strace = m->g->strace,
        .overlay = m->o.overlay && strcmp(m->o.overlay, "memory") == 0,
        .lanes_off = m->g->lanes && strcmp(m->g->lanes, "off") == 0,
        .debug = m->g->debug,
        .foreground = m->foreground,
        .control_fd = -1,
        .listen_fd = m->listen,
        .pod_fd = steal_fd(&m->pod.conn),
        .pod = m->pod.role == POD_SANDBOX,
        .keep = m->pod.role == POD_MEMBER ? m->pod.sandbox.rec.keep.pid : -1,
        .status_fd = m->exit_file,
        .cgroup = &m->cgroup,
        .steps = {.arg = m, .porter_made = enter_cgroup, .mounted = mounted, .before_pivot = before_pivot},
    };
    if (launch_sandbox(&m->launch, e))
        return -1;
    /* The slave is the container's now: the master ends when the container's copies are closed. */
    cleanup_close_p(&m->console.slave);
    m->console.slave = -1;
    return 0;
}

static int inform_agent(struct making *m, struct err *e)
{
    const struct agent_process p = {m->id, m->bundle, "creating", m->launch.porter, m->launch.porter};
    _cleanup_close_ int fd = steal_fd(&m->launch.seccomp_fd);

    return agent_inform(m->config, &p, fd, e);
}

static void end_sandbox(struct making *m)
{
    struct err ignored = ERR_INIT;

    (void)kill(m->launch.porter, SIGKILL);
    (void)launch_wait(&m->launch, &ignored);
}

static void now(char *buf, size_t size)
{
    struct timespec t;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &tm);
    size_t n = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buf + n, size - n, ".%09ldZ", t.tv_nsec);
}

/* By the name in /etc/passwd, as other runtimes show it; by number where there is none. */
static const char *owner(char buf[64])
{
    uid_t uid = geteuid();
    struct passwd *pw;

    snprintf(buf, 64, "%u", uid);
    if (uid == 0)
        return "root";
    _cleanup_fclose_ FILE *f = fopen("/etc/passwd", "re");
    while (f && (pw = fgetpwent(f)))
        if (pw->pw_uid == uid)
            snprintf(buf, 64, "%s", pw->pw_name);
    return buf;
}

static int settle(struct making *m, struct err *e)
{
    if (m->pod.role == POD_SANDBOX && cgroup_attach_keep(&m->cgroup, m->launch.keep, e))
        return -1;
    return cgroup_settle(&m->cgroup, &m->config->lx.resources, m->launch.porter, e);
}

/* That of a pod may have come and gone meanwhile: its sandbox's record says which one was meant. */
static int note_keep(struct making *m)
{
    if (m->pod.role != POD_MEMBER)
        return procid_of(m->launch.keep, &m->record.keep);
    m->record.keep = m->pod.sandbox.rec.keep;
    return 0;
}

static int write_record(struct making *m, struct err *e)
{
    now(m->created, sizeof(m->created));
    m->record = (struct record){
        .version = OCI_SPEC_VERSION,
        .id = m->id,
        .bundle = m->bundle,
        .rootfs = m->rootfs,
        .created = m->created,
        .owner = owner(m->owner),
        .status = STATUS_CREATED,
        .foreground = m->foreground && !m->o.keep,
        .sandbox = m->pod.role == POD_MEMBER ? m->pod.sandbox.dir.id : NULL,
        .hooks = has_hooks(m->config),
        .annotations = m->config->annotations,
        .nannotations = m->config->nannotations,
    };
    if (procid_of(m->launch.porter, &m->record.porter) || note_keep(m))
        return err_set(e, ERR_SYS, errno, "the sandbox ended early (see the log)");
    return record_save(&m->record, m->state.dir, e);
}

static int write_pid_file(struct making *m, struct err *e)
{
    return m->o.pid_file ? pidfile_write(m->o.pid_file, m->launch.porter, e) : 0;
}

static void remove_pid_file(struct making *m)
{
    if (m->o.pid_file)
        (void)unlink(m->o.pid_file);
}

static int send_pidfd(struct making *m, struct err *e)
{
    return sendfd_pidfd(m->o.pidfd_socket, "standard", m->launch.porter, e);
}

/* Until this last step the sandbox ends with this process, however that ends. */
static int let_go(struct making *m, struct err *e)
{
    return m->foreground ? 0 : launch_detach(m->launch.control_fd, e);
}

/* Each with what undoes it. A step that fails leaves nothing of its own that the earlier ones' inverses would
 * not take away. */
static const struct {
    int (*make)(struct making *m, struct err *e);
    void (*undo)(struct making *m);
} steps[] = {
    {hold_signals, NULL},
    {make_dir, remove_dir},
    {clean, NULL},
    {note_hooks, making_poststop},
    {make_files, NULL},
    {make_cgroup, remove_cgroup},
    {make_console, close_console},
    {find_pod, NULL},
    {make_sandbox, end_sandbox},
    {inform_agent, NULL},
    {settle, NULL},
    {write_record, NULL},
    {write_pid_file, remove_pid_file},
    {send_pidfd, NULL},
    {let_go, NULL},
};

int making_create(struct making *m, struct err *e)
{
    if (load(m, e))
        return -1;
    for (; m->done < ARRAY_SIZE(steps); m->done++) {
        if (steps[m->done].make(m, e)) {
            making_undo(m);
            return -1;
        }
    }
    return 0;
}

void making_undo(struct making *m)
{
    while (m->done-- > 0)
        if (steps[m->done].undo)
            steps[m->done].undo(m);
    m->done = 0;
}

int making_start(struct making *m, struct err *e)
{
    const struct launch *l = &m->launch;
    const struct starting s = {&m->hooks,        l->control_fd, m->record.keep,
                               m->record.porter, l->strace,     &m->cgroup};

    if (starting_run(&s, e))
        return -1;
    m->record.status = STATUS_RUNNING;
    return record_save(&m->record, m->state.dir, e);
}

void making_release(struct making *m)
{
    console_close(&m->console);
    state_close(&m->state);
    cleanup_close_p(&m->launch.control_fd);
    cleanup_close_p(&m->launch.pod_fd);
    pod_close(&m->pod);
    cleanup_close_p(&m->listen);
    cleanup_close_p(&m->exit_file);
    cleanup_close_p(&m->more);
    cleanup_close_p(&m->notify);
    cleanup_close_p(&m->signals);
    seccomp_profile_free(&m->seccomp);
    lsm_release(&m->label);
    oci_config_free(m->config);
}
