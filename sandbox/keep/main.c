/* The keep's beginning and end. */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/log.h"
#include "sandbox/keep/container.h"
#include "sandbox/keep/control.h"
#include "sandbox/keep/exec.h"
#include "sandbox/keep/file.h"
#include "sandbox/keep/fs_struct.h"
#include "sandbox/keep/klog.h"
#include "sandbox/keep/procfs.h"
#include "sandbox/keep/task.h"
#include "sandbox/keep/tty.h"
#include "sandbox/platform/keep_filter.h"
#include "sandbox/platform/listener.h"

struct kernel kernel = {
    .tasklist_lock = PTHREAD_MUTEX_INITIALIZER,
    .started_cond = PTHREAD_COND_INITIALIZER,
    .procfd = -1,
    .scratch_fd = -1,
};

static int kernel_init(const struct keep_boot *b)
{
    static atomic_ulong enosys[512 / 64];
    int r;

    kernel.pid = getpid();
    kernel.procfd = b->procfd;
    kernel.scratch_fd = b->scratch_fd;
    kernel.gate_fd = b->gate_fd;
    kernel.strace = b->strace;
    kernel.enosys_logged = enosys;
    clock_gettime(CLOCK_BOOTTIME, &kernel.boot);
    (void)mallopt(M_ARENA_MAX, 2);
    if ((r = klog_init()) < 0 || (r = tasks_init()) < 0 || (r = signal_init()) < 0 || (r = files_init()) < 0)
        return r;
    return procfs_init(b);
}

static int container_init(struct container *c, const struct keep_boot *b, struct err *e)
{
    snprintf(c->id, sizeof(c->id), "%s", b->id);
    snprintf(c->hostname, sizeof(c->hostname), "%s", b->hostname ? b->hostname : "localhost");
    snprintf(c->domainname, sizeof(c->domainname), "%s", b->domainname ? b->domainname : "(none)");
    c->porter_fd = b->porter_fd;
    c->net_host = b->net_host;
    DL_APPEND(kernel.container, c);
    int r = devpts_init(c, b->devpts_fd);
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "devpts");
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return err_set(e, ERR_SYS, errno, "cannot open the container's root");
    r = mount_ns_init(c, root, b->mounts, b->nmounts);
    if (r == 0)
        r = mount_ns_protect(c, b->masked_paths, b->readonly_paths);
    return r < 0 ? err_set(e, ERR_CONFIG, -r, "mounts") : 0;
}

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

/* A standard descriptor that the caller had closed stays closed. */
static int open_stdio(struct task *t, const struct keep_process *p)
{
    if (p->tty_fd >= 0) {
        struct file *f;
        int r = tty_console_open(t->process->container, p->tty_fd, &f);
        for (int i = 0; r >= 0 && i < 3; i++)
            r = fd_install_at(t, file_get(f), false, i, NULL);
        if (r < 0)
            return r;
        LOCKED(&kernel.tasklist_lock);
        tty_make_controlling(t->process, f);
        file_put(f);
        return 0;
    }
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

static int first_task(struct container *c, const struct keep_process *p, struct task **ret, struct err *e)
{
    int err = 0;
    struct cred *cred = first_cred(p);
    struct fs *fs = fs_new_root(c, p->cwd, p->umask, &err);

    if (!fs)
        return err_set(e, ERR_CONFIG, err, "process.cwd %s", p->cwd);
    struct task *t = cred ? task_spawn(c, cred, fs, fdtable_new()) : NULL;
    if (!t)
        return err_set(e, ERR_SYS, ENOMEM, "cannot make the first task");
    t->no_new_privs = p->no_new_privs;
    t->process->is_init = true;
    t->process->oom_score_adj = p->oom_score_adj;
    memcpy(t->process->rlim, p->rlim, sizeof(p->rlim));
    c->init = t->process;
    int r = open_stdio(t, p);
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "cannot set up standard input and output");
    r = find_program(t, p, &t->exec);
    if (r < 0)
        return err_set(e, ERR_EXEC, -r, "process.args[0]: cannot execute %s", p->args[0]);
    *ret = t;
    return 0;
}

static int take_listener(struct container *c, struct task *t, struct err *e)
{
    struct listener *l = calloc(1, sizeof(*l));
    struct porter_msg m;
    int fd = -1;

    int r = l ? msg_recv(c->porter_fd, &m, sizeof(m), &fd) : -ENOMEM;
    if (r < 0 || m.type != PORTER_LISTENER || fd < 0)
        return err_set(e, ERR_SYS, r < 0 ? -r : EBADMSG, "the porter could not make the first guest process");
    l->fd = fd;
    l->container = c;
    l->first = t;
    r = listener_start(l);
    return r < 0 ? err_set(e, ERR_SYS, -r, "cannot serve the guests") : 0;
}

static int boot(const struct keep_boot *b, struct container *c, struct err *e)
{
    struct task *t = NULL;

    int r = kernel_init(b);
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "cannot start the keep");
    if (container_init(c, b, e) < 0 || first_task(c, &b->process, &t, e) < 0)
        return -1;
    r = keep_confine();
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "cannot confine the keep");
    return take_listener(c, t, e);
}

_Noreturn void keep_main(const struct keep_boot *b)
{
    struct container *c = calloc(1, sizeof(*c));
    struct control_msg m = {.type = CONTROL_READY};
    struct err e = ERR_INIT;

    if (!c || boot(b, c, &e) < 0) {
        m = (struct control_msg){.type = CONTROL_FAILED, .err = e};
        (void)msg_send(b->control_fd, &m, sizeof(m), -1);
        _exit(1);
    }
    (void)msg_send(b->control_fd, &m, sizeof(m), -1);
    control_loop(c, b->control_fd);
}
