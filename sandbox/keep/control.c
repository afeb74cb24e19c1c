#include "sandbox/keep/control.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "sandbox/keep/container/container_init.h"
#include "sandbox/keep/counters.h"
#include "sandbox/keep/task/deaths.h"
#include "sandbox/keep/seccomp/seccomp.h"
#include "sandbox/keep/container/session.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/device/tty.h"
#include "sandbox/keep/task/unheard.h"
#include "sandbox/platform/spec.h"

#define WATCHED_MAX 4096

static bool is_tty_signal(int signo)
{
    return signo == SIGINT || signo == SIGQUIT || signo == SIGTSTP || signo == SIGWINCH || signo == SIGHUP;
}

static void on_signal(struct session *s, const struct porter_msg *m)
{
    if (m->b == SI_KERNEL && is_tty_signal(m->a)) {
        LOCKED(&kernel.tasklist_lock);
        if (tty_host_signal(s->tty, m->a))
            return;
    }
    deliver_external_signal(s->process, m->a, m->b, m->c, m->d);
}

/* False: the porter is gone. */
static bool on_porter(struct session *s)
{
    struct porter_msg m;
    int fd;

    int r = msg_recv(s->porter_fd, &m, sizeof(m), &fd);
    if (r < 0)
        return false;
    if (m.type == PORTER_LISTENER && fd >= 0 && !s->listener)
        return session_serve(s, fd) == 0;
    if (m.type == PORTER_STANDIN && fd >= 0 && !s->listener) {
        seccomp_set_standin(s->first, fd);
        return true;
    }
    if (fd >= 0)
        (void)close(fd);
    if (m.type == PORTER_SIGNAL)
        on_signal(s, &m);
    tasks_bury();
    return true;
}

/* Requests --------------------------------------------------------------------------------------------------
 */

static void answer(int fd, uint32_t type, const struct err *e)
{
    struct control_msg m = {.type = type};

    if (e)
        m.err = *e;
    (void)msg_send(fd, &m, sizeof(m), -1);
}

static void start(struct container *c, int fd)
{
    struct err e = ERR_INIT;

    LOCKED(&kernel.tasklist_lock);
    if (c->started || !c->first || c->first->ended) {
        err_set(&e, ERR_STATE, 0, "the container is not in the state created");
        answer(fd, CONTROL_FAILED, &e);
        return;
    }
    if (!c->first->first->exec) {
        err_set(&e, ERR_CONFIG, 0, "config.json: process: is not set, so there is nothing to start");
        answer(fd, CONTROL_FAILED, &e);
        return;
    }
    c->first->client_fd = fd;
    c->started = true;
    pthread_cond_broadcast(&kernel.started_cond);
}

/* Hooks come before the program, others after it. */
static bool may_exec(const struct container *c, bool hook)
{
    LOCKED(&kernel.tasklist_lock);
    return c->first && !c->first->ended && (hook ? !c->started : c->started);
}

/* fds: porter, spec, then stdio or the terminal. Those that were used are -1 afterwards. */
static int exec_session(struct container *c, int client, int fds[MSG_FDS], struct err *e)
{
    struct keep_process p = KEEP_PROCESS_INIT;

    if (fds[0] < 0 || fds[1] < 0)
        return err_set(e, ERR_SYS, EBADMSG, "exec request");
    int r = spec_unpack(fds[1], &p);
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "exec request");
    spec_take_fds(&p, fds + 2);
    if (!p.args) {
        spec_free(&p);
        return err_set(e, ERR_SYS, EBADMSG, "exec request: there is no program");
    }
    r = container_enter(c);
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "cannot enter the container's tree");
    struct session *s = session_new(c, &p, steal_fd(&fds[0]), e);
    spec_free(&p);
    if (!s)
        return -1;
    s->client_fd = s->maker_fd = client;
    return 0;
}

static void exec(struct container *c, int client, bool hook, int fds[MSG_FDS])
{
    struct err e = ERR_INIT;

    if (may_exec(c, hook)
            ? exec_session(c, client, fds, &e) < 0
            : err_set(&e, ERR_STATE, 0, "the container is not %s", hook ? "created" : "running") < 0)
        answer(client, CONTROL_FAILED, &e);
}

static void status(const struct container *c, int client)
{
    struct control_msg m = {.type = CONTROL_STATUS};
    {
        LOCKED(&kernel.tasklist_lock);
        static const struct process none;
        const struct process *p = c->first ? c->first->process : &none;
        m.value = c->first && c->first->running && !c->first->ended;
        /* What it blocks is kept for it: it means to take it by sigwait(3), signalfd(2), or later. */
        if (p->sighand && p->leader)
            m.handled = task_mask(p->leader);
        for (int i = 0; p->sighand && i < KSIG_MAX; i++) {
            uint64_t h = p->sighand->action[i].handler;
            if (h == (uint64_t)(uintptr_t)SIG_IGN) { /* blocked, perhaps, for as long as a fork takes */
                m.handled &= ~SIGBIT(i + 1);
                m.ignored |= SIGBIT(i + 1);
            } else if (h != (uint64_t)(uintptr_t)SIG_DFL)
                m.handled |= SIGBIT(i + 1);
        }
    }
    (void)msg_send(client, &m, sizeof(m), -1);
}

static void pids(const struct container *c, int client)
{
    struct control_msg m = {.type = CONTROL_PIDS_ANSWER};
    _cleanup_close_ int fd = memfd_create("pids", MFD_CLOEXEC);
    struct process *p, *tmp;

    pthread_mutex_lock(&kernel.tasklist_lock);
    unheard_find_all();
    HASH_ITER(hh_pid, c->pids->processes, p, tmp)
    {
        int32_t pid = p->host_pid;
        if (p->container == c && p->state == PROCESS_ALIVE && pid > 0 &&
            write(fd, &pid, sizeof(pid)) == sizeof(pid))
            m.value++;
    }
    pthread_mutex_unlock(&kernel.tasklist_lock);
    (void)msg_send(client, &m, sizeof(m), fd);
}

static void counters(const struct container *c, int client)
{
    struct control_msg m = {.type = CONTROL_COUNTERS};
    _cleanup_close_ int fd = memfd_create("counters", MFD_CLOEXEC);

    if (fd < 0 || counters_write(c, fd) < 0) {
        struct err e = ERR_INIT;
        err_set(&e, ERR_SYS, 0, "cannot write the counters");
        answer(client, CONTROL_FAILED, &e);
        return;
    }
    (void)msg_send(client, &m, sizeof(m), fd);
}

static void send_signal(struct container *c, int client, int signo, bool all)
{
    siginfo_t info = {.si_signo = signo, .si_code = SI_USER};
    struct process *p, *tmp;

    if (signo < 1 || signo > KSIG_MAX) {
        struct err e = ERR_INIT;
        err_set(&e, ERR_USAGE, 0, "there is no signal %d", signo);
        answer(client, CONTROL_FAILED, &e);
        return;
    }
    pthread_mutex_lock(&kernel.tasklist_lock);
    HASH_ITER(hh_pid, c->pids->processes, p, tmp)
    if (p->container == c && p->state == PROCESS_ALIVE && (all || (c->first && p == c->first->process)))
        (void)send_signal_process(p, &info, true);
    pthread_mutex_unlock(&kernel.tasklist_lock);
    tasks_bury();
    answer(client, CONTROL_DONE, NULL);
}

static void detach(struct client *client)
{
    struct session *s;

    if (client->container->maker_fd == client->fd)
        client->container->maker_fd = -1;
    LOCKED(&kernel.tasklist_lock);
    DL_FOREACH(kernel.sessions, s)
    if (s->maker_fd == client->fd)
        s->maker_fd = -1;
}

static void take_cgroup(struct container *c, int client, int fds[MSG_FDS])
{
    struct err e = ERR_INIT;
    int r = keep_cgroup_take(c, fds);

    if (r < 0)
        err_set(&e, ERR_SYS, -r, "the container's control groups");
    answer(client, r < 0 ? CONTROL_FAILED : CONTROL_DONE, &e);
}

static void take_devices(struct container *c, int client, int fds[MSG_FDS])
{
    struct err e = ERR_INIT;
    bool ok = fds[0] >= 0 && c->devices_fd < 0;

    if (ok)
        c->devices_fd = steal_fd(&fds[0]);
    else
        err_set(&e, ERR_SYS, EINVAL, "the container's devices");
    answer(client, ok ? CONTROL_DONE : CONTROL_FAILED, &e);
}

/* The last n descriptors. */
static void take_last(int fds[MSG_FDS], int n, int ret[CGROUP_FDS])
{
    int total = 0;

    while (total < MSG_FDS && fds[total] >= 0)
        total++;
    for (int i = 0; i < CGROUP_FDS; i++)
        ret[i] = i < n && n <= total ? steal_fd(&fds[total - n + i]) : -1;
}

static void join(struct control *k, struct client *client, int ncgroup, int fds[MSG_FDS])
{
    int cgroup[CGROUP_FDS];
    struct err e = ERR_INIT;
    struct container *c = NULL;

    take_last(fds, ncgroup, cgroup);
    if (!k->pod || client->container != k->sandbox)
        err_set(&e, ERR_STATE, 0, "no container can join this one");
    else
        c = container_join(fds, cgroup, &e);
    if (c) {
        container_put(client->container);
        client->container = container_get(c);
        c->maker_fd = client->fd;
    }
    answer(client->fd, c ? CONTROL_READY : CONTROL_FAILED, c ? NULL : &e);
}

static bool request(struct control *k, struct client *client, const struct control_msg *m, int fds[MSG_FDS])
{
    struct container *c = client->container;

    switch (m->type) {
    case CONTROL_START:
        start(c, client->fd);
        return true;
    case CONTROL_EXEC:
        exec(c, client->fd, m->value == 1, fds);
        return true;
    case CONTROL_STATUS:
        status(c, client->fd);
        return true;
    case CONTROL_PIDS:
        pids(c, client->fd);
        return true;
    case CONTROL_SIGNAL:
    case CONTROL_SIGNAL_INIT:
        send_signal(c, client->fd, m->value, m->type == CONTROL_SIGNAL);
        return true;
    case CONTROL_COUNTERS:
        counters(c, client->fd);
        return true;
    case CONTROL_JOIN:
        join(k, client, m->value, fds);
        return true;
    case CONTROL_CGROUP:
        take_cgroup(c, client->fd, fds);
        return true;
    case CONTROL_DEVICES:
        take_devices(c, client->fd, fds);
        return true;
    case CONTROL_FREEZE:
        container_freeze(c, m->value != 0);
        answer(client->fd, CONTROL_DONE, NULL);
        return true;
    case CONTROL_DETACH:
        detach(client);
        return true;
    default:
        return false;
    }
}

/* False: the client is gone, or talks nonsense. */
static bool on_client(struct control *k, struct client *client)
{
    struct control_msg m;
    int fds[MSG_FDS];
    bool ok = msg_recv_fds(client->fd, &m, sizeof(m), fds) == 0 && request(k, client, &m, fds);

    for (int i = 0; i < MSG_FDS; i++)
        cleanup_close_p(&fds[i]);
    return ok;
}

/* Signals to the keep itself
 * ----------------------------------------------------------------------------------
 */

int control_hold_signals(void)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t set;

    sigfillset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        sigdelset(&set, own[i]);
    if (pthread_sigmask(SIG_SETMASK, &set, NULL) != 0)
        return -EINVAL;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGQUIT);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static void forward_signals(const struct control *k)
{
    struct signalfd_siginfo si;

    while (read(k->signal_fd, &si, sizeof(si)) == sizeof(si))
        deliver_external_signal(k->sandbox->first->process, (int)si.ssi_signo, si.ssi_code, 0, si.ssi_uid);
}

/* The loop --------------------------------------------------------------------------------------------------
 */

/* The exit statuses outlive the sandbox. Without it every other container ends as if killed. */
static _Noreturn void end(void)
{
    struct container *c;

    pthread_mutex_lock(&kernel.tasklist_lock);
    DL_FOREACH(kernel.container, c)
    container_note_exit(c, SIGKILL);
    _exit(0);
}

static void forget_client(struct control *k, struct client *client)
{
    const siginfo_t kill = {.si_signo = SIGKILL, .si_code = SI_USER};
    struct container *c = client->container;
    int fd = steal_fd(&client->fd);
    struct session *s;

    client->container = NULL;
    /* Whoever made it was killed, and nobody else may know of it. */
    if (fd == c->maker_fd && c == k->sandbox)
        _exit(1);
    if (fd == c->maker_fd) {
        c->maker_fd = -1;
        container_end(c);
    }
    pthread_mutex_lock(&kernel.tasklist_lock);
    DL_FOREACH(kernel.sessions, s)
    {
        if (s->client_fd == fd)
            s->client_fd = -1;
        /* An exec's caller was killed before its end: nobody will ever ask for this program. */
        if (s->maker_fd == fd)
            (void)send_signal_process(s->process, &kill, true);
        if (s->maker_fd == fd)
            s->maker_fd = -1;
    }
    pthread_mutex_unlock(&kernel.tasklist_lock);
    tasks_bury();
    (void)close(fd);
    container_put(c);
}

/* Who finds no place waits in connect(2). */
static struct client *free_place(struct control *k)
{
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (k->clients[i].fd < 0)
            return &k->clients[i];
    return NULL;
}

static void accept_client(struct control *k, struct container *c)
{
    struct client *place = free_place(k);
    int fd = place ? accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC) : -1;

    if (fd >= 0)
        *place = (struct client){fd, container_get(c)};
}

/* The porter of a container's own program is gone: so is the container. */
static void end_container(struct control *k, struct container *c)
{
    if (c == k->sandbox)
        end();
    c->first = NULL;
    container_end(c);
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (k->clients[i].fd >= 0 && k->clients[i].container == c)
            forget_client(k, &k->clients[i]);
}

static void on_session(struct control *k, struct session *s)
{
    if (on_porter(s))
        return;
    struct container *c = container_get(s->container);
    if (s == c->first)
        end_container(k, c);
    session_end(s);
    container_put(c);
}

static void bury_containers(void)
{
    eventfd_t n;

    (void)eventfd_read(kernel.wake_fd, &n);
    containers_bury();
}

/* What is polled: one of these for each descriptor. */
struct watched {
    struct session *session;
    struct client *client;
    struct container *listens;
};

struct watch_list {
    unsigned n;
    struct pollfd fds[WATCHED_MAX];
    struct watched what[WATCHED_MAX];
};

static void watch(struct watch_list *l, int fd, struct watched what)
{
    if (l->n == WATCHED_MAX || fd < 0)
        return;
    l->fds[l->n] = (struct pollfd){.fd = fd, .events = POLLIN};
    l->what[l->n++] = what;
}

static void watch_all(struct control *k, struct watch_list *l)
{
    struct session *s;
    struct container *c;

    LOCKED(&kernel.tasklist_lock);
    l->n = 0;
    watch(l, k->signal_fd, (struct watched){.session = NULL});
    watch(l, kernel.wake_fd, (struct watched){.session = NULL});
    watch(l, kernel.deaths_fd, (struct watched){.session = NULL});
    DL_FOREACH(kernel.sessions, s)
    watch(l, s->porter_fd, (struct watched){.session = s});
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        watch(l, k->clients[i].fd, (struct watched){.client = &k->clients[i]});
    DL_FOREACH(kernel.container, c)
    if (!c->ended && free_place(k))
        watch(l, c->listen_fd, (struct watched){.listens = c});
}

static void serve(struct control *k, const struct watched *w, int fd)
{
    if (w->session)
        on_session(k, w->session);
    else if (w->client && w->client->fd == fd && !on_client(k, w->client))
        forget_client(k, w->client);
    else if (w->listens && !w->listens->ended)
        accept_client(k, w->listens);
    else if (fd == k->signal_fd)
        forward_signals(k);
    else if (fd == kernel.deaths_fd)
        deaths_bury();
}

_Noreturn void control_loop(struct control *k)
{
    static struct watch_list l;

    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        k->clients[i].fd = -1;
    k->clients[0] = (struct client){k->sandbox->maker_fd, container_get(k->sandbox)};
    for (;;) {
        watch_all(k, &l);
        if (poll(l.fds, l.n, -1) < 0 && errno != EINTR)
            _exit(1);
        for (unsigned i = 0; i < l.n; i++)
            if (l.fds[i].revents)
                serve(k, &l.what[i], l.fds[i].fd);
        bury_containers();
    }
}
