#include "sandbox/keep/container/session.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "sandbox/keep/task/exec.h"
#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/fs/fs_struct.h"
#include "sandbox/keep/container/home.h"
#include "sandbox/keep/idmap.h"
#include "sandbox/keep/container/notify.h"
#include "sandbox/keep/seccomp/seccomp.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/device/tty.h"
#include "sandbox/platform/fdbag.h"
#include "sandbox/platform/messages.h"

static struct cred *first_cred(const struct keep_process *p)
{
    struct cred *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->groups = calloc(p->ngroups ? p->ngroups : 1, sizeof(gid_t));
    if (!c->groups) {
        free(c);
        return NULL;
    }
    atomic_init(&c->refs, 1);
    c->uid = c->euid = c->suid = c->fsuid = p->uid;
    c->gid = c->egid = c->sgid = c->fsgid = p->gid;
    c->ngroups = p->ngroups;
    if (p->ngroups)
        memcpy(c->groups, p->groups, p->ngroups * sizeof(gid_t));
    c->cap_bounding = p->cap_bounding;
    c->cap_inheritable = p->cap_inheritable;
    c->cap_permitted = p->cap_permitted;
    c->cap_effective = p->cap_effective;
    c->cap_ambient = p->cap_ambient;
    return c;
}

static int open_terminal(struct task *t, const struct keep_process *p, struct tty **ret)
{
    struct file *f;
    int r = tty_console_open(t->process->container, p->tty_fd, &f);

    for (int i = 0; r >= 0 && i < 3; i++)
        r = fd_install_at(t, file_get(f), false, i, NULL);
    if (r < 0)
        return r;
    LOCKED(&kernel.tasklist_lock);
    tty_make_controlling(t->process, f);
    *ret = tty_get(t->process->ctty);
    file_put(f);
    return 0;
}

/* A standard descriptor that the caller had closed stays closed. */
static int open_stdio(struct task *t, const struct keep_process *p, struct tty **ret_tty)
{
    if (p->tty_fd >= 0)
        return open_terminal(t, p, ret_tty);
    for (int i = 0; i < 3; i++) {
        if (p->stdio[i] < 0)
            continue;
        struct file *f = host_stdio_file(p->stdio[i]);
        int r = f ? fd_install_at(t, f, false, i, NULL) : -ENOMEM;
        if (r < 0)
            return r;
    }
    return 0;
}

static int install(struct task *t, int hostfd, int fd)
{
    struct file *f = host_sock_file(hostfd);

    if (!f)
        f = host_stdio_file(hostfd);
    if (!f)
        return -ENOMEM;
    return fd_install_at(t, f, false, fd, NULL);
}

/* --preserve-fds and socket activation. */
static int open_more(struct task *t, int bag)
{
    int fds[FDBAG_MAX], r = 0;
    int n = bag < 0 ? 0 : fdbag_unpack(bag, fds);

    for (int i = 0; i < n; i++) {
        if (r < 0)
            (void)close(fds[i]);
        else
            r = install(t, fds[i], 3 + i);
    }
    if (bag >= 0)
        (void)close(bag);
    return n < 0 ? n : r;
}

static const char *path_variable(char *const *env)
{
    for (; env && *env; env++)
        if (strncmp(*env, "PATH=", 5) == 0)
            return *env + 5;
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/* As execvp(3): a name without a slash is looked for along PATH. */
static int find_program(struct task *t, const struct keep_process *p, struct exec_plan **ret)
{
    char path[4096];
    int found = -ENOENT;

    if (p->path)
        return exec_prepare(t, AT_FDCWD, p->path, p->args, p->env, 0, ret);
    if (strchr(p->args[0], '/'))
        return exec_prepare(t, AT_FDCWD, p->args[0], p->args, p->env, 0, ret);
    if (!*p->args[0])
        return -ENOENT;
    for (const char *s = path_variable(p->env);; s++) {
        size_t n = strcspn(s, ":");
        int len = snprintf(path, sizeof(path), "%.*s%s%s", (int)n, s, n ? "/" : "./", p->args[0]);
        if (len > 0 && (size_t)len < sizeof(path)) {
            int r = exec_prepare(t, AT_FDCWD, path, p->args, p->env, 0, ret);
            if (r == 0 || (r != -ENOENT && r != -ENOTDIR && r != -EACCES))
                return r;
            if (r == -EACCES)
                found = r;
        }
        s += n;
        if (!*s)
            return found;
    }
}

/* Who the program is to be must be mapped: the host would not let the keep work for anybody else. */
static int check_ids(const struct keep_process *p, struct err *e)
{
    if (!idmap_has_uid(p->uid))
        return err_set(e, ERR_CONFIG, 0, "process.user.uid: %u is not mapped in the user namespace", p->uid);
    if (!idmap_has_gid(p->gid))
        return err_set(e, ERR_CONFIG, 0, "process.user.gid: %u is not mapped in the user namespace", p->gid);
    if (p->ngroups > 0 && idmap_denies_groups())
        return err_set(e, ERR_CONFIG, 0,
                       "process.user.additionalGids: the user namespace does not allow setgroups (without "
                       "newgidmap and a range in /etc/subgid only one's own group can be had)");
    for (unsigned i = 0; i < p->ngroups; i++)
        if (!idmap_has_gid(p->groups[i]))
            return err_set(e, ERR_CONFIG, 0,
                           "process.user.additionalGids[%u]: %u is not mapped in the user namespace", i,
                           p->groups[i]);
    return 0;
}

static struct task *new_task(struct container *c, const struct keep_process *p, struct err *e)
{
    int err = 0;

    if (check_ids(p, e) < 0)
        return NULL;
    struct fs *fs = fs_new_root(c, p->cwd, p->umask, &err);

    if (!fs) {
        err_set(e, ERR_CONFIG, err, "process.cwd %.200s", p->cwd);
        return NULL;
    }
    struct cred *cred = first_cred(p);
    struct task *t = cred ? task_spawn(c, cred, fs, fdtable_new()) : NULL;
    if (!t) {
        err_set(e, ERR_SYS, ENOMEM, "cannot make the first task");
        return NULL;
    }
    t->no_new_privs = p->no_new_privs;
    t->process->oom_score_adj = p->oom_score_adj;
    memcpy(t->process->rlim, p->rlim, sizeof(p->rlim));
    task_confine(t, &p->confine);
    return t;
}

/* In the words of Go's library, which docker and podman look for to end with 127 or 126. */
static int not_executable(const char *name, int error, struct err *e)
{
    char why[64] = "executable file not found in $PATH";

    if (error != ENOENT || strchr(name, '/'))
        snprintf(why, sizeof(why), "%s", strerror(error));
    why[0] = (char)tolower((unsigned char)why[0]);
    err_set(e, ERR_EXEC, 0, "process.args[0]: cannot execute %.300s: %s", *name ? name : "\"\"", why);
    e->sys_errno = error;
    return -1;
}

static int prepare(struct session *s, const struct keep_process *p, struct err *e)
{
    int r = p->nfilter ? seccomp_apply_profile(s->first, p) : 0;

    if (r < 0)
        return err_set(e, ERR_SYS, -r, "linux.seccomp: cannot apply the profile");
    r = open_stdio(s->first, p, &s->tty);
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "cannot set up standard input and output");
    r = open_more(s->first, p->more_fd);
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "cannot pass descriptors on");
    r = p->notify_fd < 0 ? 0 : notify_init(s->container, p->notify_fd, p->porter);
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "NOTIFY_SOCKET");
    /* A container may be created without a program. */
    if (!p->args)
        return 0;
    /* A hook has the environment that it was given, and no more. */
    struct keep_process at_home = *p;
    _cleanup_free_ char **env = p->path ? NULL : home_add(s->first, p->uid, p->env);
    if (env)
        at_home.env = env;
    r = find_program(s->first, &at_home, &s->first->exec);
    return r < 0 ? not_executable(p->path ? p->path : p->args[0], -r, e) : 0;
}

/* What a program that can not be made would have got: who waits for the end of its output must see it. */
static void close_descriptors(const struct keep_process *p, int porter_fd)
{
    const int fds[] = {p->stdio[0], p->stdio[1], p->stdio[2], p->tty_fd, p->more_fd, p->notify_fd, porter_fd};

    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        cleanup_close_p(&fds[i]);
}

struct session *session_new(struct container *c, const struct keep_process *spec, int porter_fd,
                            struct err *e)
{
    struct session *s = calloc(1, sizeof(*s));

    if (!s) {
        (void)close(porter_fd);
        err_set(e, ERR_SYS, ENOMEM, "cannot make a session");
        return NULL;
    }
    s->container = container_get(c);
    s->client_fd = s->maker_fd = -1;
    s->porter_fd = porter_fd;
    s->first = new_task(c, spec, e);
    if (!s->first) {
        close_descriptors(spec, porter_fd);
        container_put(c);
        free(s);
        return NULL;
    }
    s->process = process_get(s->first->process);
    pthread_mutex_lock(&kernel.tasklist_lock);
    DL_APPEND(kernel.sessions, s);
    s->process->session = s;
    pthread_mutex_unlock(&kernel.tasklist_lock);
    if (prepare(s, spec, e) < 0) {
        session_end(s);
        return NULL;
    }
    return s;
}

int session_serve(struct session *s, int listener_fd)
{
    s->listener = listener_new(listener_fd, s->container, s->first);
    return s->listener ? 0 : -ENOMEM;
}

static void tell_client(struct session *s, uint32_t type, const struct err *e)
{
    struct control_msg m = {.type = type};

    if (e)
        m.err = *e;
    if (s->client_fd >= 0)
        (void)msg_send(s->client_fd, &m, sizeof(m), -1);
    s->client_fd = -1;
}

void session_running(struct process *p)
{
    struct session *s = p->session;

    if (!s || s->running)
        return;
    s->running = true;
    tell_client(s, CONTROL_STARTED, NULL);
}

void session_exited(struct process *p)
{
    struct session *s = p->session;
    struct porter_msg m = {.type = PORTER_EXIT, .a = p->exit_status};

    if (!s || s->ended)
        return;
    s->ended = true;
    /* Before its porter tells the host: who hears of the end may ask at once. */
    if (s == s->container->first)
        container_note_exit(s->container, p->exit_status);
    (void)msg_send(s->porter_fd, &m, sizeof(m), -1);
}

void session_end(struct session *s)
{
    struct err e = ERR_INIT;

    process_exit(s->process, SIGKILL, true);
    pthread_mutex_lock(&kernel.tasklist_lock);
    s->process->session = NULL;
    DL_DELETE(kernel.sessions, s);
    err_set(&e, ERR_STATE, 0, "the program ended before it ran");
    tell_client(s, CONTROL_FAILED, &e);
    pthread_mutex_unlock(&kernel.tasklist_lock);
    (void)close(s->porter_fd);
    /* Children of the program may live on behind the listener. */
    if (s->listener)
        listener_release(s->listener);
    task_put(s->first);
    process_put(s->process);
    tty_put(s->tty);
    container_put(s->container);
    free(s);
}

int session_wait_for_start(struct task *t)
{
    struct container *c = t->process->container;

    if (c->started || t->process != c->init)
        return 0;
    worker_about_to_block();
    LOCKED(&kernel.tasklist_lock);
    /* Not task_wait: a stop signal, too, would end that one, again and again. */
    while (!c->started && !t->process->group_exit) {
        t->sleep_cond = &kernel.started_cond;
        t->sleep_woken = false;
        t->sleep = SLEEP_COND;
        pthread_cond_wait(&kernel.started_cond, &kernel.tasklist_lock);
        t->sleep = SLEEP_NONE;
        t->sleep_cond = NULL;
    }
    return t->process->group_exit ? -EINTR : 0;
}
