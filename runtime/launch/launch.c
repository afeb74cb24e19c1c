/* Porter and keep are forked from the runtime, each into its namespaces:
 *
 *   runtime                  porter                    keep
 *   fork porter -----------> pid, net, ipc, uts, host name
 *   its cgroup
 *   fork keep -------------------------------------->  the same net; mount namespace, mounts
 *           <- MOUNTED -------------------------------
 *           <- JOINED ------
 *   hooks
 *           - HOOKS_DONE ---------------------------->  hooks, pivot_root, user namespace
 *           <- IN_USERNS -----------------------------
 *   write the mappings
 *           - GO ----------->  first guest
 *           - MAPPED -------------------------------->  kernel, first program checked
 *           <- READY ---------------------------------  <- listener from the porter
 */
#include "runtime/launch/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fds.h"
#include "common/log.h"
#include "oci/config.h"
#include "runtime/cgroup/cgroup_birth.h"
#include "runtime/cgroup/cgroup_view.h"
#include "runtime/rootfs/device_view.h"
#include "runtime/launch/interrupt.h"
#include "runtime/launch/confine.h"
#include "runtime/launch/keep_boot.h"
#include "runtime/launch/launch_internal.h"
#include "runtime/launch/launch_join.h"
#include "runtime/launch/launch_time.h"
#include "runtime/launch/lsm.h"
#include "runtime/seccomp/seccomp.h"
#include "runtime/seccomp/seccomp_agent.h"
#include "sandbox/platform/messages.h"
#include "sandbox/platform/porter.h"
#include "sandbox/platform/relay.h"

extern const char gate_image[], gate_image_end[];

struct links {
    int control[2]; /* [0] runtime, [1] keep */
    int porter[2];  /* [0] keep, [1] porter */
    int agent[2];   /* [0] runtime, [1] porter: the listener for the seccomp agent */
    int gate;
};

static void links_close(struct links *k)
{
    int *all[] = {&k->control[0], &k->control[1], &k->porter[0], &k->porter[1],
                  &k->agent[0],   &k->agent[1],   &k->gate};

    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        cleanup_close_p(all[i]);
        *all[i] = -1;
    }
}

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

/* The image in sealed memory: there is no file that a guest could reach. */
int launch_gate_memfd(struct err *e)
{
    size_t len = (size_t)(gate_image_end - gate_image);
    _cleanup_close_ int fd = memfd_create("gate", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

    if (fd < 0 && errno == EINVAL)
        fd = memfd_create("gate", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || write(fd, gate_image, len) != (ssize_t)len || fchmod(fd, 0555) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return err_set(e, ERR_SYS, errno, "cannot put the gate's image into memory");
    return steal_fd(&fd);
}

static int links_open(struct links *k, const struct launch *l, struct err *e)
{
    *k = (struct links){{-1, -1}, {-1, -1}, {-1, -1}, -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, k->control) < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, k->porter) < 0)
        return err_set(e, ERR_SYS, errno, "socketpair");
    if (agent_link(l->seccomp, k->agent, e) < 0)
        return -1;
    k->gate = launch_gate_memfd(e);
    return k->gate < 0 ? -1 : 0;
}

static int expect_msg(int sock, uint32_t type, struct control_msg *m, struct err *e)
{
    int r = msg_recv(sock, m, sizeof(*m), NULL);

    if (r < 0)
        return msg_failed(r, "the sandbox", e);
    if (m->type == CONTROL_FAILED) {
        m->err.msg[sizeof(m->err.msg) - 1] = 0;
        *e = m->err;
        return -1;
    }
    return m->type == type ? 0 : err_set(e, ERR_SYS, 0, "the sandbox answered out of turn");
}

int launch_expect(int sock, uint32_t type, struct err *e)
{
    struct control_msg m;

    return expect_msg(sock, type, &m, e);
}

int launch_say(int sock, uint32_t type, struct err *e)
{
    struct control_msg m = {.type = type};
    int r = msg_send(sock, &m, sizeof(m), -1);

    return r < 0 ? msg_failed(r, "the sandbox", e) : 0;
}

/* What the keep needs in its own user namespace: the guests' file rights, their memory, and to signal them.
 */
static int drop_keep_caps(bool pod, struct err *e)
{
    static const int needed[] = {
        CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER,  CAP_FSETID, CAP_KILL,    CAP_SETGID,
        CAP_SETUID, CAP_SYS_PTRACE,   CAP_SYS_RESOURCE,    CAP_SETFCAP, CAP_LEASE,  CAP_SYS_NICE};
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[2];
    uint64_t set = 0;

    for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
        set |= 1ULL << needed[i];
    if (pod) /* the trees of those that join */
        set |= 1ULL << CAP_SYS_CHROOT;
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (!(set >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            return err_set(e, ERR_SYS, errno, "cannot drop capability %d", cap);
    for (int i = 0; i < 2; i++) {
        d[i].effective = d[i].permitted = (uint32_t)(set >> (32 * i));
        d[i].inheritable = 0;
    }
    if (syscall(SYS_capset, &h, d) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(e, ERR_SYS, errno, "cannot drop the keep's capabilities");
    return 0;
}

/* The container's user namespace, which the porter was born in. Where the caller may do nothing outside of it
 * the keep enters it first of all, else when the mounts are made. */
static int enter_configured(const struct launch *l, int userns, struct err *e)
{
    if (setns(userns, CLONE_NEWUSER) < 0)
        return err_set(e, ERR_SYS, errno, "cannot enter the container's user namespace");
    if (userns_become_root(&l->ids, e) < 0)
        return -1;
    /* Of the other user that it may have become, the caller could not learn the namespaces. */
    if (l->rootless)
        (void)prctl(PR_SET_DUMPABLE, 1);
    return 0;
}

/* A mount namespace that belongs to the user namespace: the porter has to enter it from there. */
static int own_mounts(struct err *e)
{
    return unshare(CLONE_NEWNS) < 0 ? err_set(e, ERR_SYS, errno, "unshare(CLONE_NEWNS)") : 0;
}

/* The container's ids, where it has its own, with its mounts made. */
static int enter_ids(const struct launch *l, int userns, struct err *e)
{
    if (userns < 0 || l->rootless)
        return 0;
    return enter_configured(l, userns, e) < 0 || own_mounts(e) < 0 ? -1 : 0;
}

static int enter_userns(const struct launch *l, int userns, int control, bool *ret_partial, struct err *e)
{
    struct control_msg m;

    if (enter_ids(l, userns, e) < 0)
        return -1;
    if (userns < 0 && unshare(CLONE_NEWUSER) < 0)
        return err_set(e, ERR_SYS, errno, "unshare(CLONE_NEWUSER)");
    if (launch_say(control, CONTROL_IN_USERNS, e) < 0 || expect_msg(control, CONTROL_MAPPED, &m, e) < 0)
        return -1;
    *ret_partial = m.value;
    return drop_keep_caps(l->pod, e);
}

#define KEEP_NOFILE 1048576 /* as much as a process may have by default (fs.nr_open) */

/* Every guest's descriptors are the keep's, and what the caller may write is not what guests may (their own
 * limits hold). */
static void raise_keep_limits(void)
{
    struct rlimit nofile = {KEEP_NOFILE, KEEP_NOFILE}, none = {RLIM_INFINITY, RLIM_INFINITY};

    if (setrlimit(RLIMIT_NOFILE, &nofile) < 0 && getrlimit(RLIMIT_NOFILE, &nofile) == 0) {
        nofile.rlim_cur = nofile.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &nofile);
    }
    (void)setrlimit(RLIMIT_FSIZE, &none);
}

/* Nothing of the runtime's but what is needed: its state directory would be a way out into the host. */
static int keep_begin(const struct launch *l, const struct links *k, int *ret_userns, struct err *e)
{
    const int needed[] = {k->control[1], k->porter[0], k->gate,     l->listen_fd, l->status_fd,
                          l->stdio[0],   l->stdio[1],  l->stdio[2], l->tty_slave, l->more_fd,
                          l->notify_fd,  l->pod_fd,    log_fd()};

    (void)fds_close_others(needed, ARRAY_SIZE(needed));
    (void)setsid();
    raise_keep_limits();
    if (l->config->lx.ns[OCI_NS_USER].set && (*ret_userns = launch_open_ns(l->porter, "user", e)) < 0)
        return -1;
    if (l->rootless && enter_configured(l, *ret_userns, e) < 0)
        return -1;
    return launch_ns_network(l->config, l->porter, e);
}

static _Noreturn void failed(int control, const struct err *e)
{
    struct control_msg m = {.type = CONTROL_FAILED, .err = *e};

    (void)msg_send(control, &m, sizeof(m), -1);
    _exit(1);
}

/* In the place of a keep, where there is one already: makes the tree and hands it over. Lives until the
 * porter is in its mount namespace. */
static _Noreturn void builder_child(const struct launch *l, struct links *k)
{
    struct keep_setup setup;
    struct err e = ERR_INIT;
    int self = -1, userns = -1;

    if (keep_begin(l, k, &userns, &e) == 0 && launch_join_prepare(&self, &e) == 0 &&
        keep_setup(l, userns, k->control[1], &setup, &e) == 0 && enter_ids(l, userns, &e) == 0 &&
        launch_join_send(l, &setup, k->porter[0], &self, &e) == 0 &&
        launch_say(k->control[1], CONTROL_IN_USERNS, &e) == 0 &&
        launch_expect(k->control[1], CONTROL_MAPPED, &e) == 0)
        _exit(0);
    failed(k->control[1], &e);
}

static _Noreturn void keep_child(const struct launch *l, struct links *k)
{
    struct keep_setup setup;
    struct err e = ERR_INIT;
    int userns = -1;

    if (l->pod_fd >= 0)
        builder_child(l, k);
    if (keep_begin(l, k, &userns, &e) == 0 && keep_setup(l, userns, k->control[1], &setup, &e) == 0 &&
        enter_userns(l, userns, k->control[1], &setup.boot.partial_ids, &e) == 0) {
        cleanup_close_p(&userns);
        setup.boot.control_fd = k->control[1];
        setup.boot.porter_fd = k->porter[0];
        setup.boot.gate_fd = k->gate;
        setup.boot.listen_fd = l->listen_fd;
        setup.boot.status_fd = l->status_fd;
        keep_main(&setup.boot);
    }
    failed(k->control[1], &e);
}

/* Waits for the namespaces that its guests, and it itself, are to live in. */
static void wait_for_go(struct porter *p)
{
    struct porter_msg m;
    int fds[MSG_FDS];

    if (msg_recv_fds(p->keep_fd, &m, sizeof(m), fds) < 0 || m.type != PORTER_GO || fds[0] < 0 || fds[1] < 0)
        _exit(137);
    p->userns_fd = fds[0];
    p->mntns_fd = fds[1];
}

/* With its mappings written. A change of ids takes back what a parent may have asked for. */
static int porter_becomes_root(const struct launch *l, struct err *e)
{
    struct userns_ids ids;

    if (userns_ids_of(0, &ids, e) < 0 || userns_become_root(&ids, e) < 0)
        return -1;
    if (l->foreground)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (l->rootless)
        (void)prctl(PR_SET_DUMPABLE, 1);
    return 0;
}

static _Noreturn void porter_child(const struct launch *l, struct links *k)
{
    struct porter p = {
        .keep_fd = k->porter[1],
        .gate_fd = k->gate,
        .tty_fd = l->tty_slave,
        .guest_ns = {-1, -1, -1, -1},
        .all_calls = l->strace,
        .agent_fd = k->agent[1],
        .agent_killable = l->seccomp && l->seccomp->killable,
        .confine = l->confine,
        .label = l->label,
        .judged = l->seccomp ? &l->seccomp->judged : NULL,
        .in_userns = l->config->lx.ns[OCI_NS_USER].set,
        .enter_mntns = launch_ns_is_new(l->config, OCI_NS_MNT),
    };
    struct err e = ERR_INIT;

    const int needed[] = {k->porter[1], k->gate, k->agent[1], l->label ? l->label->proc : -1,
                          l->tty_slave, log_fd()};

    (void)fds_close_others(needed, ARRAY_SIZE(needed));
    if (fds_forget_stdio(log_fd() == STDERR_FILENO && (l->tty_slave < 0 || l->foreground)) < 0)
        _exit(137);
    if (l->foreground)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct control_msg m = {.type = CONTROL_JOINED};
    if (lsm_take_selinux(l->label, &e) < 0 || launch_ns_enter(l->config, &e) < 0)
        m = (struct control_msg){.type = CONTROL_FAILED, .err = e};
    if (msg_send(p.keep_fd, &m, sizeof(m), -1) < 0 || m.type == CONTROL_FAILED)
        _exit(137);
    wait_for_go(&p);
    if ((p.in_userns && porter_becomes_root(l, &e) < 0) || launch_ns_cgroup(l->config, &e) < 0) {
        log_err(&e);
        _exit(137);
    }
    if (!launch_ns_is_new(l->config, OCI_NS_PID))
        relay_main(&p);
    porter_main(&p);
}

/* The mappings of the user namespace that the porter has got, where config.json wants one. */
static int map_ids(struct launch *l, struct err *e)
{
    const struct oci_namespace *ns = &l->config->lx.ns[OCI_NS_USER];

    if (!ns->set)
        return 0;
    if (!ns->path && userns_map(l->config, l->porter, e) < 0)
        return -1;
    return userns_ids_of(l->porter, &l->ids, e);
}

static int fork_porter(struct launch *l, struct links *k, struct err *e)
{
    struct cgroup_birth birth;
    struct err ignored = ERR_INIT;

    cgroup_birth_enter(l->cgroup, &birth);
    l->porter = launch_ns_fork(l->config, birth.v2, e);
    if (l->porter == 0)
        porter_child(l, k);
    if (cgroup_birth_leave(&birth, l->porter < 0 ? &ignored : e) < 0 || l->porter < 0 || map_ids(l, e) < 0)
        return -1;
    cleanup_close_p(&k->porter[1]);
    cleanup_close_p(&k->agent[1]);
    k->porter[1] = k->agent[1] = -1;
    if (confine_oom(l->config->process, l->porter, e) < 0)
        return -1;
    return l->steps.porter_made ? l->steps.porter_made(l->steps.arg, l->porter, e) : 0;
}

static int send_go(int porter_link, pid_t keep, pid_t tree, struct err *e)
{
    struct porter_msg m = {.type = PORTER_GO};
    _cleanup_close_ int userns = launch_open_ns(keep, "user", e);
    _cleanup_close_ int mntns = userns < 0 ? -1 : launch_open_ns(tree, "mnt", e);

    if (mntns < 0)
        return -1;
    int r = msg_send_fds(porter_link, &m, sizeof(m), (const int[]){userns, mntns}, 2);
    return r < 0 ? msg_failed(r, "the porter", e) : 0;
}

static int fork_keep(struct launch *l, struct links *k, struct err *e)
{
    l->tree = fork();
    if (l->tree < 0)
        return err_set(e, ERR_SYS, errno, "cannot make the keep");
    if (l->tree == 0)
        keep_child(l, k);
    if (l->pod_fd < 0)
        l->keep = l->tree;
    cleanup_close_p(&k->control[1]);
    k->control[1] = -1;
    return 0;
}

/* createContainer hooks run in the keep to be, for as long as they like: who asks this process to end
 * meanwhile is heard. With the porter's pid namespace all of them end. */
static int await_hooks(const struct launch *l, int control, struct err *e)
{
    if (l->config->hooks[OCI_HOOK_CREATE_CONTAINER].n == 0)
        return 0;
    _cleanup_close_ int asked = interrupt_open();
    struct pollfd fds[2] = {{.fd = control, .events = POLLIN}, {.fd = asked, .events = POLLIN}};
    while (poll(fds, ARRAY_SIZE(fds), -1) < 0)
        if (errno != EINTR)
            return err_set(e, ERR_SYS, errno, "poll");
    if (fds[0].revents)
        return 0;
    return err_set(e, ERR_HOOK, 0, "the createContainer hooks were interrupted by SIG%s",
                   sigabbrev_np(interrupt_take(asked)));
}

/* A porter that could not join its namespaces takes the keep's from it, too: its reason is the first. */
static int expect_mounted(const struct links *k, struct err *e)
{
    struct pollfd pfd = {.fd = k->porter[0], .events = POLLIN};
    struct err why = ERR_INIT;

    if (launch_expect(k->control[0], CONTROL_MOUNTED, e) == 0)
        return 0;
    if (poll(&pfd, 1, 0) == 1 && launch_expect(k->porter[0], CONTROL_JOINED, &why) < 0 && why.code != ERR_SYS)
        *e = why;
    return -1;
}

static int say_mapped(int control, bool partial, struct err *e)
{
    struct control_msg m = {.type = CONTROL_MAPPED, .value = partial};
    int r = msg_send(control, &m, sizeof(m), -1);

    return r < 0 ? msg_failed(r, "the sandbox", e) : 0;
}

static int fork_both(struct launch *l, struct links *k, struct err *e)
{
    int own_time = -1;

    if (launch_time_begin(l->config, &own_time, e) < 0)
        return -1;
    int r = fork_porter(l, k, e) < 0 ? -1 : fork_keep(l, k, e);
    launch_time_end(&own_time);
    return r;
}

/* A pod's keep that refuses the container lets its porter end: then its answer is what is to be told. */
static int why_no_porter(const struct launch *l, struct err *e)
{
    struct err answer = ERR_INIT;

    if (l->pod_fd >= 0 && launch_expect(l->pod_fd, CONTROL_READY, &answer) < 0)
        *e = answer;
    return -1;
}

static int bring_up(struct launch *l, struct links *k, struct err *e)
{
    int control = k->control[0];

    if (fork_both(l, k, e) < 0 || expect_mounted(k, e) < 0)
        return -1;
    /* The porter had the time that the mounts took; createContainer hooks will look into its namespaces. */
    if (launch_expect(k->porter[0], CONTROL_JOINED, e) < 0)
        return -1;
    if (l->steps.mounted && l->steps.mounted(l->steps.arg, l->porter, e) < 0)
        return -1;
    if (cgroup_view_send(control, l->cgroup, l->config, l->porter, e) < 0 ||
        launch_say(control, CONTROL_HOOKS_DONE, e) < 0 || await_hooks(l, control, e) < 0 ||
        launch_expect(control, CONTROL_IN_USERNS, e) < 0)
        return -1;
    if (!l->config->lx.ns[OCI_NS_USER].set && l->pod_fd < 0 &&
        userns_map_same(l->keep, &l->ids.partial, e) < 0)
        return -1;
    if (send_go(k->porter[0], l->keep, l->tree, e) < 0)
        return why_no_porter(l, e);
    cleanup_close_p(&k->porter[0]);
    k->porter[0] = -1;
    if (say_mapped(control, l->ids.partial, e) < 0)
        return -1;
    int keep = l->pod_fd < 0 ? control : l->pod_fd;
    if (launch_expect(keep, CONTROL_READY, e) < 0 || device_view_send(keep, l->config, e) < 0)
        return -1;
    launch_ns_await(l->config, l->porter);
    l->seccomp_fd = agent_take(k->agent[0], e);
    return l->seccomp_fd < 0 && k->agent[0] >= 0 ? -1 : 0;
}

void launch_put_down(pid_t pid)
{
    if (pid > 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
    }
}

int launch_sandbox(struct launch *l, struct err *e)
{
    _cleanup_(links_close) struct links k;

    bool joins = l->pod_fd >= 0;

    l->tree = l->porter = -1;
    l->control_fd = l->seccomp_fd = -1;
    l->ids = (struct userns_ids){.partial = false};
    l->rootless = userns_needed_first();
    if (links_open(&k, l, e) < 0)
        return -1;
    if (bring_up(l, &k, e) < 0) {
        launch_put_down(l->porter);
        launch_put_down(l->tree);
        return -1;
    }
    if (joins)
        (void)waitpid(l->tree, NULL, 0);
    l->control_fd = steal_fd(joins ? &l->pod_fd : &k.control[0]);
    return 0;
}

int launch_detach(int control_fd, struct err *e)
{
    return launch_say(control_fd, CONTROL_DETACH, e);
}

int launch_start(int control_fd, struct err *e)
{
    if (launch_say(control_fd, CONTROL_START, e) < 0)
        return -1;
    return launch_expect(control_fd, CONTROL_STARTED, e);
}

int launch_wait(struct launch *l, struct err *e)
{
    int status;

    while (waitpid(l->porter, &status, 0) < 0)
        if (errno != EINTR)
            return err_set(e, ERR_SYS, errno, "cannot wait for the container");
    /* That of a pod is nobody's child here. */
    while (waitpid(l->keep, NULL, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
