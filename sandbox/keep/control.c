#include "sandbox/keep/control.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/log.h"
#include "sandbox/keep/session.h"
#include "sandbox/keep/task.h"
#include "sandbox/keep/tty.h"
#include "sandbox/platform/spec.h"

#define CLIENTS_MAX 16
#define SESSIONS_MAX 1024
#define OWN_FDS 3

/* Guests ----------------------------------------------------------------------------------------------------
 */

static bool host_process_is_gone(const struct process *p)
{
    struct pollfd pfd = {.fd = p->pidfd, .events = POLLIN};

    return p->pidfd >= 0 && poll(&pfd, 1, 0) == 1;
}

static struct process *find_dead(struct container *c)
{
    struct process *p, *tmp;

    LOCKED(&kernel.tasklist_lock);
    HASH_ITER(hh_pid, c->pids->processes, p, tmp)
    if (p->state == PROCESS_ALIVE && !p->group_exit && host_process_is_gone(p))
        return process_get(p);
    return NULL;
}

/* A guest process died natively: by a fault in its gate, or by the host's hand. Which one, its pidfd tells.
 */
static void bury_the_dead(struct container *c, int signo)
{
    struct process *p;

    while ((p = find_dead(c))) {
        process_exit(p, signo & 0x7f, false);
        process_put(p);
    }
}

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
    if (fd >= 0)
        (void)close(fd);
    if (m.type == PORTER_SIGNAL)
        on_signal(s, &m);
    else if (m.type == PORTER_DEATH)
        bury_the_dead(s->container, m.a);
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

static void start(struct control *k, int fd)
{
    struct err e = ERR_INIT;

    LOCKED(&kernel.tasklist_lock);
    if (k->container->started || k->first->ended) {
        err_set(&e, ERR_STATE, 0, "the container is not in the state created");
        answer(fd, CONTROL_FAILED, &e);
        return;
    }
    if (!k->first->first->exec) {
        err_set(&e, ERR_CONFIG, 0, "config.json: process: is not set, so there is nothing to start");
        answer(fd, CONTROL_FAILED, &e);
        return;
    }
    k->first->client_fd = fd;
    k->container->started = true;
    pthread_cond_broadcast(&kernel.started_cond);
}

/* Hooks come before the program, others after it. */
static bool may_exec(struct control *k, bool hook)
{
    LOCKED(&kernel.tasklist_lock);
    return !k->first->ended && (hook ? !k->container->started : k->container->started);
}

/* fds: porter, spec, then stdio or the terminal. Those that were used are -1 afterwards. */
static int exec_session(struct control *k, int client, int fds[MSG_FDS], struct err *e)
{
    struct keep_process p = KEEP_PROCESS_INIT;

    if (fds[0] < 0 || fds[1] < 0)
        return err_set(e, ERR_SYS, EBADMSG, "exec request");
    int r = spec_unpack(fds[1], &p);
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "exec request");
    spec_take_fds(&p, fds + 2);
    struct session *s = session_new(k->container, &p, steal_fd(&fds[0]), e);
    spec_free(&p);
    if (!s)
        return -1;
    s->client_fd = s->maker_fd = client;
    return 0;
}

static void exec(struct control *k, int client, bool hook, int fds[MSG_FDS])
{
    struct err e = ERR_INIT;

    if (may_exec(k, hook)
            ? exec_session(k, client, fds, &e) < 0
            : err_set(&e, ERR_STATE, 0, "the container is not %s", hook ? "created" : "running") < 0)
        answer(client, CONTROL_FAILED, &e);
}

static void status(struct control *k, int client)
{
    struct control_msg m = {.type = CONTROL_STATUS};
    {
        LOCKED(&kernel.tasklist_lock);
        const struct process *p = k->first->process;
        m.value = k->first->running && !k->first->ended;
        /* What it blocks is kept for it: it means to take it by sigwait(3), signalfd(2), or later. */
        if (p->sighand && p->leader)
            m.handled = p->leader->blocked;
        for (int i = 0; p->sighand && i < KSIG_MAX; i++) {
            uint64_t h = p->sighand->action[i].handler;
            if (m.handled & SIGBIT(i + 1))
                continue;
            if (h == (uint64_t)(uintptr_t)SIG_IGN)
                m.ignored |= SIGBIT(i + 1);
            else if (h != (uint64_t)(uintptr_t)SIG_DFL)
                m.handled |= SIGBIT(i + 1);
        }
    }
    (void)msg_send(client, &m, sizeof(m), -1);
}

static void pids(struct control *k, int client)
{
    struct control_msg m = {.type = CONTROL_PIDS_ANSWER};
    _cleanup_close_ int fd = memfd_create("pids", MFD_CLOEXEC);
    struct process *p, *tmp;

    pthread_mutex_lock(&kernel.tasklist_lock);
    HASH_ITER(hh_pid, k->container->pids->processes, p, tmp)
    {
        int32_t pid = p->host_pid;
        if (p->state == PROCESS_ALIVE && pid > 0 && write(fd, &pid, sizeof(pid)) == sizeof(pid))
            m.value++;
    }
    pthread_mutex_unlock(&kernel.tasklist_lock);
    (void)msg_send(client, &m, sizeof(m), fd);
}

static void send_signal(struct control *k, int client, int signo, bool all)
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
    HASH_ITER(hh_pid, k->container->pids->processes, p, tmp)
    if (p->state == PROCESS_ALIVE && p->container == k->container && (all || p == k->first->process))
        (void)send_signal_process(p, &info, true);
    pthread_mutex_unlock(&kernel.tasklist_lock);
    tasks_bury();
    answer(client, CONTROL_DONE, NULL);
}

static void detach(struct control *k, int client)
{
    struct session *s;

    if (client == k->client_fd)
        k->detached = true;
    LOCKED(&kernel.tasklist_lock);
    DL_FOREACH(kernel.sessions, s)
    if (s->maker_fd == client)
        s->maker_fd = -1;
}

/* False: the client is gone, or talks nonsense. */
static bool on_client(struct control *k, int client)
{
    struct control_msg m;
    int fds[MSG_FDS];
    bool ok = msg_recv_fds(client, &m, sizeof(m), fds) == 0;

    if (ok && m.type == CONTROL_START)
        start(k, client);
    else if (ok && m.type == CONTROL_EXEC)
        exec(k, client, m.value == 1, fds);
    else if (ok && m.type == CONTROL_STATUS)
        status(k, client);
    else if (ok && m.type == CONTROL_PIDS)
        pids(k, client);
    else if (ok && (m.type == CONTROL_SIGNAL || m.type == CONTROL_SIGNAL_INIT))
        send_signal(k, client, m.value, m.type == CONTROL_SIGNAL);
    else if (ok && m.type == CONTROL_DETACH)
        detach(k, client);
    else
        ok = false;
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
        deliver_external_signal(k->first->process, (int)si.ssi_signo, si.ssi_code, 0, si.ssi_uid);
}

/* The loop --------------------------------------------------------------------------------------------------
 */

/* The exit status outlives the sandbox. */
static _Noreturn void end(struct control *k)
{
    char text[32];
    /* A porter that did not wait for the program's end was killed. */
    int status = k->first->ended ? k->first->process->exit_status : SIGKILL;

    if (k->status_fd >= 0) {
        int n = snprintf(text, sizeof(text), "%d\n",
                         WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        if (pwrite(k->status_fd, text, (size_t)n, 0) < 0)
            log_warning("cannot keep the exit status: %s", strerror(errno));
    }
    _exit(0);
}

static void forget_client(struct control *k, int fd)
{
    const siginfo_t kill = {.si_signo = SIGKILL, .si_code = SI_USER};
    struct session *s;

    /* Whoever made the sandbox was killed, and nobody else may know of it. */
    if (fd == k->client_fd && !k->detached)
        _exit(1);
    if (fd == k->client_fd)
        k->client_fd = -1;
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
}

static void bury_containers(void)
{
    eventfd_t n;

    (void)eventfd_read(kernel.wake_fd, &n);
    containers_bury();
}

/* Who finds no place waits in connect(2). */
static int *free_place(int clients[CLIENTS_MAX])
{
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (clients[i] < 0)
            return &clients[i];
    return NULL;
}

static void accept_client(int listen_fd, int clients[CLIENTS_MAX])
{
    int *place = free_place(clients);

    if (place)
        *place = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
}

static void serve_sessions(struct control *k, const struct pollfd *fds, struct session *const *of, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (!fds[i].revents || on_porter(of[i]))
            continue;
        if (of[i] == k->first)
            end(k);
        session_end(of[i]);
    }
}

static unsigned session_fds(struct pollfd *fds, struct session **of)
{
    struct session *s;
    unsigned n = 0;

    LOCKED(&kernel.tasklist_lock);
    DL_FOREACH(kernel.sessions, s)
    {
        if (n == SESSIONS_MAX)
            break;
        fds[n] = (struct pollfd){.fd = s->porter_fd, .events = POLLIN};
        of[n++] = s;
    }
    return n;
}

_Noreturn void control_loop(struct control *k)
{
    static struct pollfd fds[OWN_FDS + CLIENTS_MAX + SESSIONS_MAX];
    static struct session *of[SESSIONS_MAX];
    int clients[CLIENTS_MAX];

    for (int i = 0; i < CLIENTS_MAX; i++)
        clients[i] = i == 0 ? k->client_fd : -1;
    for (;;) {
        fds[0] = (struct pollfd){.fd = free_place(clients) ? k->listen_fd : -1, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = k->signal_fd, .events = POLLIN};
        fds[2] = (struct pollfd){.fd = kernel.wake_fd, .events = POLLIN};
        for (int i = 0; i < CLIENTS_MAX; i++)
            fds[OWN_FDS + i] = (struct pollfd){.fd = clients[i], .events = POLLIN};
        unsigned n = session_fds(fds + OWN_FDS + CLIENTS_MAX, of);
        if (poll(fds, OWN_FDS + CLIENTS_MAX + n, -1) < 0 && errno != EINTR)
            _exit(1);
        serve_sessions(k, fds + OWN_FDS + CLIENTS_MAX, of, n);
        for (int i = 0; i < CLIENTS_MAX; i++) {
            if (clients[i] >= 0 && fds[OWN_FDS + i].revents && !on_client(k, clients[i])) {
                forget_client(k, clients[i]);
                clients[i] = -1;
            }
        }
        if (fds[1].revents)
            forward_signals(k);
        if (fds[0].revents)
            accept_client(k->listen_fd, clients);
        if (fds[2].revents)
            bury_containers();
    }
}
