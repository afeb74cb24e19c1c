/* One more program in a sandbox that runs: a porter of its own in the container's namespaces, and a session
 * in the keep. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fds.h"
#include "common/log.h"
#include "runtime/launch/confine.h"
#include "runtime/launch/keep_boot.h"
#include "runtime/cgroup/cgroup_birth.h"
#include "runtime/launch/launch_internal.h"
#include "runtime/state/procid.h"
#include "runtime/launch/lsm.h"
#include "runtime/seccomp/seccomp.h"
#include "runtime/seccomp/seccomp_agent.h"
#include "sandbox/platform/messages.h"
#include "sandbox/platform/porter.h"
#include "sandbox/platform/spec.h"

/* What the helper leaves behind for its parent. */
struct helper_result {
    pid_t porter;
    struct err err;
};

struct exec_links {
    int porter[2]; /* [0] keep, [1] porter */
    int agent[2];  /* [0] runtime, [1] porter: the listener for the seccomp agent */
    int gate, userns, mntns, spec;
    int guests[GUEST_NS];
    bool in_userns;
};

static void exec_links_close(struct exec_links *k)
{
    int *all[] = {&k->porter[0], &k->porter[1], &k->agent[0], &k->agent[1],
                  &k->gate,      &k->userns,    &k->mntns,    &k->spec};

    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        cleanup_close_p(all[i]);
    launch_guests_close(k->guests);
}

static int exec_links_open(const struct launch_exec *x, struct exec_links *k, struct err *e)
{
    struct keep_process p;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, k->porter) < 0)
        return err_set(e, ERR_SYS, errno, "socketpair");
    if (agent_link(x->seccomp, k->agent, e) < 0)
        return -1;
    k->gate = launch_gate_memfd(e);
    k->userns = k->gate < 0 ? -1 : launch_open_ns(x->keep, "user", e);
    k->mntns = k->userns < 0 ? -1 : launch_open_ns(x->keep, "mnt", e);
    if (k->mntns < 0)
        return -1;
    launch_guests_open(x->porter_fd, launch_pid_of(x->porter_fd), x->keep, k->guests);
    /* The number was the keep's before and is now, so it was its all the time. */
    if (procid_wait(x->keep_fd, 0))
        return err_set(e, ERR_NOT_RUNNING, 0, "container not running: its keep has ended");
    keep_process_from(x->process, &p);
    p.path = x->hook;
    p.more_fd = x->more_fd;
    seccomp_for_process(x->seccomp, &p);
    if (x->confine)
        p.confine = *x->confine;
    k->spec = spec_pack(&p);
    return k->spec < 0 ? err_set(e, ERR_SYS, -k->spec, "cannot pack the process") : 0;
}

static int become_root(void)
{
    struct err e = ERR_INIT;
    struct userns_ids ids;

    if (userns_ids_of(0, &ids, &e) == 0 && userns_become_root(&ids, &e) == 0)
        return 0;
    log_err(&e);
    return -1;
}

static _Noreturn void porter_child(const struct launch_exec *x, struct exec_links *k)
{
    struct porter p = {
        .keep_fd = k->porter[1],
        .userns_fd = k->userns,
        .mntns_fd = k->mntns,
        .gate_fd = k->gate,
        .tty_fd = x->tty_slave,
        .all_calls = x->strace,
        .agent_fd = k->agent[1],
        .agent_killable = x->seccomp && x->seccomp->killable,
        .confine = x->confine,
        .label = x->label,
        .judged = x->seccomp ? &x->seccomp->judged : NULL,
        .in_userns = k->in_userns,
        .enter_mntns = true,
    };
    struct porter_msg m;

    memcpy(p.guest_ns, k->guests, sizeof(p.guest_ns));
    const int needed[] = {
        k->porter[1], k->gate,  k->userns,    k->mntns,     k->agent[1],  x->label ? x->label->proc : -1,
        x->tty_slave, log_fd(), k->guests[0], k->guests[1], k->guests[2], k->guests[3]};

    (void)fds_close_others(needed, ARRAY_SIZE(needed));
    if (fds_forget_stdio(log_fd() == STDERR_FILENO && (x->tty_slave < 0 || x->foreground)) < 0)
        _exit(137);
    /* A caller that is killed before this has had no answer from the keep, which ends the session then. */
    if (x->foreground)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (msg_recv(p.keep_fd, &m, sizeof(m), NULL) < 0 || m.type != PORTER_GO)
        _exit(137);
    if (p.in_userns && become_root() < 0)
        _exit(137);
    porter_main(&p);
}

/* The caller must stay in its own namespaces, so a helper joins the container's and makes the porter there,
 * as a child of the caller. */
static _Noreturn void helper_main(const struct launch_exec *x, struct exec_links *k, struct helper_result *r)
{
    struct cgroup_birth birth; /* not left again: this process ends */

    cgroup_birth_enter(x->cgroup, &birth);
    if (lsm_take_selinux(x->label, &r->err) == 0 &&
        launch_ns_join(x->porter_fd, &k->in_userns, &r->err) == 0) {
        pid_t pid = cgroup_birth_fork(CLONE_PARENT, birth.v2);
        if (pid == 0)
            porter_child(x, k); /* shares *r with us: only one of the two may write it */
        r->porter = pid;
        if (pid < 0)
            err_set(&r->err, ERR_SYS, errno, "cannot make the porter");
    }
    _exit(0);
}

static int make_porter(struct launch_exec *x, struct exec_links *k, struct err *e)
{
    struct helper_result *r =
        mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (r == MAP_FAILED)
        return err_set(e, ERR_SYS, errno, "mmap");
    r->porter = -1;
    int status = 0;
    pid_t helper = fork();
    if (helper == 0)
        helper_main(x, k, r);
    if (helper < 0)
        err_set(&r->err, ERR_SYS, errno, "fork");
    while (helper > 0 && waitpid(helper, &status, 0) < 0 && errno == EINTR)
        ;
    x->exec_porter = r->porter;
    /* It is in the container's control groups already. */
    if (r->porter <= 0 && WIFSIGNALED(status))
        err_set(&r->err, ERR_SYS, 0, "cannot make the porter: killed by %s (is the container out of memory?)",
                sigabbrev_np(WTERMSIG(status)));
    if (r->porter <= 0)
        *e = r->err;
    (void)munmap(r, sizeof(*r));
    return x->exec_porter > 0 ? 0 : -1;
}

static int request(const struct launch_exec *x, const struct exec_links *k, struct err *e)
{
    struct control_msg m = {.type = CONTROL_EXEC, .value = x->hook != NULL};
    int fds[MSG_FDS] = {k->porter[0], k->spec};
    unsigned n = 2;

    if (x->tty_slave >= 0)
        fds[n++] = x->tty_slave;
    for (int i = 0; x->tty_slave < 0 && i < 3; i++)
        fds[n++] = x->stdio[i];
    if (x->more_fd >= 0)
        fds[n++] = x->more_fd;
    int r = msg_send_fds(x->control_fd, &m, sizeof(m), fds, n);
    if (r == -EPIPE)
        return err_set(e, ERR_NOT_RUNNING, 0, "container not running: its keep has ended");
    return r < 0 ? msg_failed(r, "the sandbox", e) : 0;
}

static int go(int porter_link, struct err *e)
{
    struct porter_msg m = {.type = PORTER_GO};
    int r = msg_send(porter_link, &m, sizeof(m), -1);

    return r < 0 ? msg_failed(r, "the porter", e) : 0;
}

static int bring_up(struct launch_exec *x, struct exec_links *k, struct err *e)
{
    if (exec_links_open(x, k, e) < 0 || make_porter(x, k, e) < 0)
        return -1;
    cleanup_close_p(&k->porter[1]);
    cleanup_close_p(&k->agent[1]);
    k->porter[1] = k->agent[1] = -1;
    if (confine_affinity(x->process->affinity_initial, x->exec_porter, "initial", e) < 0)
        return -1;
    if (x->porter_made && x->porter_made(x->arg, x->exec_porter, e) < 0)
        return -1;
    if (confine_affinity(x->process->affinity_final, x->exec_porter, "final", e) < 0 ||
        confine_oom(x->process, x->exec_porter, e) < 0)
        return -1;
    if (go(k->porter[0], e) < 0 || request(x, k, e) < 0)
        return -1;
    cleanup_close_p(&k->porter[0]);
    k->porter[0] = -1;
    /* The agent can be asked as soon as the program runs: it must have its listener by then. */
    x->seccomp_fd = agent_take(k->agent[0], e);
    if (x->seccomp_fd < 0 && k->agent[0] >= 0)
        return -1;
    if (x->listener_made && x->listener_made(x->arg, x->exec_porter, x->seccomp_fd, e) < 0)
        return -1;
    return launch_expect(x->control_fd, CONTROL_STARTED, e);
}

int launch_exec(struct launch_exec *x, struct err *e)
{
    _cleanup_(exec_links_close) struct exec_links k = {{-1, -1}, {-1, -1},         -1,   -1, -1,
                                                       -1,       {-1, -1, -1, -1}, false};

    x->exec_porter = x->seccomp_fd = -1;
    if (bring_up(x, &k, e) == 0)
        return 0;
    launch_put_down(x->exec_porter);
    cleanup_close_p(&x->seccomp_fd);
    return -1;
}
