#include "runtime/launch/keep_boot.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fds.h"
#include "common/log.h"
#include "oci/config.h"
#include "runtime/launch/launch_internal.h"
#include "runtime/seccomp/seccomp.h"
#include "sandbox/keep/device/chrdev.h"
#include "sandbox/keep/pseudo/procfs.h"
#include "sandbox/platform/messages.h"

struct making {
    const struct launch *launch;
    int control;
    struct keep_boot *boot;
};

static void take_limits(const struct oci_process *p, struct keep_process *kp)
{
    for (int i = 0; i < RLIM_NLIMITS; i++)
        if (getrlimit((__rlimit_resource_t)i, &kp->rlim[i]) < 0)
            kp->rlim[i] = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
    for (size_t i = 0; i < p->nrlimits; i++)
        kp->rlim[p->rlimits[i].resource] = p->rlimits[i].lim;
}

static int take_stdio(const struct launch *l, struct keep_process *kp, struct err *e)
{
    kp->tty_fd = -1;
    for (int i = 0; i < 3; i++)
        kp->stdio[i] = -1;
    if (l->tty_slave >= 0) {
        kp->tty_fd = fcntl(l->tty_slave, F_DUPFD_CLOEXEC, 3);
        return kp->tty_fd < 0 ? err_set(e, ERR_SYS, errno, "cannot keep the terminal") : 0;
    }
    for (int i = 0; i < 3; i++) {
        kp->stdio[i] = fcntl(l->stdio[i], F_DUPFD_CLOEXEC, 3);
        if (kp->stdio[i] < 0 && errno != EBADF)
            return err_set(e, ERR_SYS, errno, "cannot keep standard descriptor %d", i);
    }
    return 0;
}

/* What is not set is not touched: the caller's own goes on. */
static int own_oom_score_adj(void)
{
    char buf[16] = "";
    _cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);

    return fd >= 0 && read(fd, buf, sizeof(buf) - 1) > 0 ? atoi(buf) : 0;
}

void keep_process_from(const struct oci_process *p, struct keep_process *kp)
{
    mode_t mask = umask(022);

    umask(mask);
    *kp = (struct keep_process){
        .args = p->args,
        .env = p->env,
        .cwd = p->cwd,
        .uid = p->user.uid,
        .gid = p->user.gid,
        .groups = p->user.groups,
        .ngroups = (unsigned)p->user.ngroups,
        .umask = p->user.umask_set ? p->user.umask : mask,
        .cap_bounding = p->caps.bounding,
        .cap_effective = p->caps.effective,
        .cap_inheritable = p->caps.inheritable,
        .cap_permitted = p->caps.permitted,
        .cap_ambient = p->caps.ambient,
        .no_new_privs = p->no_new_privileges,
        .terminal = p->terminal,
        .oom_score_adj = p->oom_score_adj.set ? (int)p->oom_score_adj.v : own_oom_score_adj(),
        .confine = KEEP_CONFINE_INIT,
        .stdio = {-1, -1, -1},
        .tty_fd = -1,
        .more_fd = -1,
        .notify_fd = -1,
    };
    take_limits(p, kp);
}

static int take_cgroup(const struct making *m, struct err *e)
{
    struct control_msg msg;
    int fds[MSG_FDS];
    int r = msg_recv_fds(m->control, &msg, sizeof(msg), fds);

    if (r < 0 || msg.type != CONTROL_CGROUP)
        return err_set(e, ERR_SYS, r < 0 ? -r : EBADMSG, "the runtime went away");
    memcpy(m->boot->cgroup_fds, fds, sizeof(m->boot->cgroup_fds));
    return 0;
}

static struct ns_id ns_of_path(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? (struct ns_id){st.st_dev, st.st_ino} : (struct ns_id){0, 0};
}

static struct ns_id ns_of(const struct launch *l, enum oci_ns_type type, const char *name)
{
    const struct oci_namespace *ns = &l->config->lx.ns[type];
    char path[64];

    if (ns->set)
        snprintf(path, sizeof(path), "/proc/%d/ns/%s", l->porter, name);
    else
        snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
    return ns_of_path(ns->set && ns->path ? ns->path : path);
}

/* By which containers of a pod find what they share. */
static void take_namespaces(const struct launch *l, struct ns_ids *ret)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/ns/pid", l->porter);
    ret->pid = ns_of_path(path);
    ret->pid_asked = ns_of(l, OCI_NS_PID, "pid");
    ret->ipc = ns_of(l, OCI_NS_IPC, "ipc");
    ret->uts = ns_of(l, OCI_NS_UTS, "uts");
}

/* While the container's tree is being made: hooks of the runtime, then those that see what the container
 * will. */
static int run_hooks(void *arg, struct err *e)
{
    const struct making *m = arg;
    const struct launch_steps *s = &m->launch->steps;

    if (launch_say(m->control, CONTROL_MOUNTED, e) < 0 || take_cgroup(m, e) < 0 ||
        launch_expect(m->control, CONTROL_HOOKS_DONE, e) < 0)
        return -1;
    return s->before_pivot ? s->before_pivot(s->arg, m->launch->porter, e) : 0;
}

/* {"a","b"} pairs as "a=b" strings, with a NULL at the end. */
static char **join_pairs(const struct oci_pair *pairs, size_t n)
{
    char **v = calloc(n + 1, sizeof(*v));

    for (size_t i = 0; v && i < n; i++)
        if (asprintf(&v[i], "%s=%s", pairs[i].key, pairs[i].value) < 0)
            v[i] = NULL;
    return v;
}

/* Without names of its own a container has those of the namespace that it is in, which is a copy of the
 * caller's where it is new. */
static int take_names(const struct oci_config *c, struct keep_boot *b, struct err *e)
{
    const struct oci_namespace *ns = &c->lx.ns[OCI_NS_UTS];
    struct utsname names;

    if (ns->set && ns->path && launch_ns_join_path(ns->path, CLONE_NEWUTS, "uts", e) < 0)
        return -1;
    if (uname(&names) < 0)
        return err_set(e, ERR_SYS, errno, "uname");
    b->inherits_names = !c->hostname && !c->domainname;
    b->hostname = c->hostname ? c->hostname : strdup(names.nodename);
    b->domainname = c->domainname ? c->domainname : strdup(names.domainname);
    return b->hostname && b->domainname ? 0 : err_set(e, ERR_SYS, ENOMEM, "memory");
}

/* The program's descriptors are its own: what it closes is closed. With a terminal there is not even the
 * log's on stderr, unless the caller stays: it may wait for the end of what it hears. */
static int forget_stdio(const struct launch *l, struct err *e)
{
    int r = fds_forget_stdio(log_fd() == STDERR_FILENO && (l->tty_slave < 0 || l->foreground));

    return r < 0 ? err_set(e, ERR_SYS, -r, "cannot let go of the standard descriptors") : 0;
}

/* A container without process can be created; it cannot be started. */
static const struct oci_process no_process = {.cwd = "/"};

int keep_setup(const struct launch *l, int userns, int control, struct keep_setup *ret, struct err *e)
{
    const struct oci_config *c = l->config;
    struct keep_boot *b = &ret->boot;
    struct making m = {l, control, b};

    *b = (struct keep_boot){.id = l->id,
                            .procfd = -1,
                            .devpts_fd = -1,
                            .scratch_fd = -1,
                            .listen_fd = -1,
                            .status_fd = -1,
                            .cgroup_fds = {-1}};
    keep_process_from(c->process ? c->process : &no_process, &b->process);
    b->process.more_fd = l->more_fd;
    b->process.notify_fd = l->notify_fd;
    b->process.porter = l->porter;
    seccomp_for_process(l->seccomp, &b->process);
    if (l->confine)
        b->process.confine = *l->confine;
    take_namespaces(l, &b->ns);
    b->pod = l->pod;
    if (take_stdio(l, &b->process, e) < 0 || forget_stdio(l, e) < 0 || take_names(c, b, e) < 0)
        return -1;
    /* A keep that is there has its own. */
    int r = l->pod_fd < 0 ? procfs_snapshot() : 0;
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "cannot read the host's /proc");
    if (l->pod_fd < 0)
        chrdev_init();
    const struct rootfs_plan plan = {
        .config = c,
        .bundle = l->bundle,
        .ids = userns >= 0 && !l->rootless ? &l->ids : NULL,
        .userns = userns,
        .overlay = l->overlay,
        .before_pivot = run_hooks,
        .arg = &m,
    };
    if (rootfs_setup(&plan, &ret->rootfs, e) < 0)
        return -1;
    b->procfd = ret->rootfs.procfd;
    b->devpts_fd = ret->rootfs.devpts_fd;
    b->scratch_fd = ret->rootfs.scratch_fd;
    b->mounts = ret->rootfs.mounts;
    b->nmounts = ret->rootfs.nmounts;
    b->masked_paths = c->lx.masked_paths;
    b->readonly_paths = c->lx.readonly_paths;
    b->sysctl = join_pairs(c->lx.sysctl, c->lx.nsysctl);
    if (c->lx.resources.pids_limit.set && c->lx.resources.pids_limit.v > 0)
        b->pids_limit = (uint64_t)c->lx.resources.pids_limit.v;
    b->net_host = true;
    b->strace = l->strace;
    b->lanes_off = l->lanes_off;
    b->debug = l->debug;
    return 0;
}
