#include "runtime/hooks/hook_run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "runtime/launch/interrupt.h"
#include "runtime/launch/launch_internal.h"

/* What is read after the hook's end from descendants that hold its output open. */
#define DRAIN_MAX (256 * 1024)

/* The end of what a hook wrote to stdout and stderr. */
struct tail {
    char text[200];
    size_t len;
};

static void tail_add(struct tail *t, const char *s, size_t n)
{
    if (n > sizeof(t->text)) {
        s += n - sizeof(t->text);
        n = sizeof(t->text);
    }
    size_t keep = sizeof(t->text) - n < t->len ? sizeof(t->text) - n : t->len;
    memmove(t->text, t->text + t->len - keep, keep);
    memcpy(t->text + keep, s, n);
    t->len = keep + n;
}

/* As part of a message of one line. */
static const char *tail_line(struct tail *t, char *line, size_t size)
{
    while (t->len > 0 && (t->text[t->len - 1] == '\n' || t->text[t->len - 1] == ' '))
        t->len--;
    for (size_t i = 0; i < t->len; i++)
        if ((unsigned char)t->text[i] < 0x20 || t->text[i] == 0x7f)
            t->text[i] = ' ';
    snprintf(line, size, "%s%.*s", t->len ? ": " : "", (int)t->len, t->text);
    return line;
}

/* False: the pipe is at its end. */
static bool read_some(int fd, struct tail *t, size_t *total)
{
    char buf[4096];
    ssize_t n = read(fd, buf, sizeof(buf));

    if (n > 0) {
        tail_add(t, buf, (size_t)n);
        *total += (size_t)n;
    }
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void drain(int fd, struct tail *t)
{
    size_t total = 0, before;

    do
        before = total;
    while (total < DRAIN_MAX && read_some(fd, t, &total) && total > before);
}

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int ms_left(int64_t deadline)
{
    int64_t left = deadline - now_ms();

    if (deadline < 0)
        return -1;
    return left <= 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

static int64_t deadline_of(const struct hook_job *j)
{
    return j->hook->timeout ? now_ms() + (int64_t)j->hook->timeout * 1000 : -1;
}

enum outcome { HOOK_ENDED, HOOK_LATE, HOOK_INTERRUPTED };

/* Reads what the child says until it ends, its time is up, or asked becomes readable. What it left running
 * may hold the pipe open: that is not waited for. */
static enum outcome watch(int pidfd, int out, int asked, int64_t deadline, struct tail *t)
{
    struct pollfd fds[3] = {
        {.fd = pidfd, .events = POLLIN}, {.fd = out, .events = POLLIN}, {.fd = asked, .events = POLLIN}};
    size_t total = 0;

    for (;;) {
        int left = ms_left(deadline);
        int n = poll(fds, ARRAY_SIZE(fds), left);
        if (n < 0 && errno != EINTR)
            return HOOK_LATE;
        if (n > 0 && fds[0].revents) {
            drain(out, t);
            return HOOK_ENDED;
        }
        if (n > 0 && fds[2].revents)
            return HOOK_INTERRUPTED;
        if (left == 0)
            return HOOK_LATE;
        if (n > 0 && fds[1].revents && !read_some(out, t, &total))
            fds[1].fd = -1;
    }
}

static int judge(const struct hook_job *j, int status, struct tail *t, struct err *e)
{
    char line[sizeof(t->text) + 8];

    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    tail_line(t, line, sizeof(line));
    if (WIFEXITED(status))
        return err_set(e, ERR_HOOK, 0, "hook %s[%zu] (%.200s) failed: exit status %d%s", j->kind, j->index,
                       j->hook->path, WEXITSTATUS(status), line);
    return err_set(e, ERR_HOOK, 0, "hook %s[%zu] (%.200s) failed: killed by signal %d%s", j->kind, j->index,
                   j->hook->path, WTERMSIG(status), line);
}

/* pid leads a process group; it is gone and reaped afterwards. */
static int see_it_through(const struct hook_job *j, pid_t pid, int out, int64_t deadline, struct err *e)
{
    _cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    _cleanup_close_ int asked = interrupt_open();
    struct tail t = {.len = 0};
    char line[sizeof(t.text) + 8];
    int status = 0;

    enum outcome how = pidfd < 0 ? HOOK_LATE : watch(pidfd, out, asked, deadline, &t);
    if (how != HOOK_ENDED) {
        (void)kill(-pid, SIGKILL);
        (void)kill(pid, SIGKILL);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (how == HOOK_ENDED)
        return judge(j, status, &t, e);
    drain(out, &t);
    if (how == HOOK_INTERRUPTED)
        return err_set(e, ERR_HOOK, 0, "hook %s[%zu] (%.200s) failed: interrupted by SIG%s%s", j->kind,
                       j->index, j->hook->path, sigabbrev_np(interrupt_take(asked)),
                       tail_line(&t, line, sizeof(line)));
    return err_set(e, ERR_TIMEOUT, 0, "hook %s[%zu] (%.200s) failed: not done after its %d s%s", j->kind,
                   j->index, j->hook->path, j->hook->timeout, tail_line(&t, line, sizeof(line)));
}

static int open_output(int out[2], struct err *e)
{
    if (pipe2(out, O_CLOEXEC) < 0 || fcntl(out[0], F_SETFL, O_NONBLOCK) < 0)
        return err_set(e, ERR_SYS, errno, "cannot make a hook's output");
    return 0;
}

static void close_pair(int (*p)[2])
{
    cleanup_close_p(&(*p)[0]);
    cleanup_close_p(&(*p)[1]);
}

static int cannot_run(const struct hook_job *j, int error, struct err *e)
{
    return err_set(e, ERR_HOOK, error, "hook %s[%zu] (%.300s) cannot be run", j->kind, j->index,
                   j->hook->path);
}

/* On the host
 * -------------------------------------------------------------------------------------------------------- */

/* Memory that the child shares until it executes the hook. */
struct birth {
    pid_t pid; /* as the runtime has it */
    int failed;
};

static void reset_signals(void)
{
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        (void)signal(i, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static char *const *argv_of(const struct oci_hook *h, char *const only_path[2])
{
    return h->args && h->args[0] ? h->args : only_path;
}

static int become_hook(const struct hook_job *j, int out)
{
    char *only_path[2] = {(char *)(uintptr_t)j->hook->path, NULL};

    (void)setsid();
    /* Nobody would see to it any more, nor to its time. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(j->state, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0 ||
        close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        return -1;
    /* The root of a user namespace may not be allowed into the bundle. */
    if (chdir(j->hooks->bundle) < 0 && (errno != EACCES || chdir("/") < 0))
        return -1;
    umask(j->hooks->umask);
    (void)setrlimit(RLIMIT_NOFILE, &j->hooks->nofile);
    (void)setrlimit(RLIMIT_FSIZE, &j->hooks->fsize);
    reset_signals();
    return execve(j->hook->path, argv_of(j->hook, only_path), j->hook->env ? j->hook->env : j->env);
}

/* Returns in the caller once the child has executed the hook, or failed to. */
static pid_t fork_hook(const struct hook_job *j, int out, unsigned long flags, struct birth *b)
{
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_VFORK | SIGCHLD | flags, 0, 0, 0, 0);

    if (pid == 0) {
        (void)become_hook(j, out);
        b->failed = errno;
        _exit(127);
    }
    if (pid < 0)
        b->failed = errno;
    return pid;
}

static _Noreturn void join_and_fork(const struct hook_job *j, int out, struct birth *b)
{
    int pidfd = (int)syscall(SYS_pidfd_open, j->namespaces, 0);
    struct err ignored = ERR_INIT;
    struct userns_ids ids;
    bool userns;

    if (pidfd < 0 || launch_ns_join(pidfd, &userns, &ignored) < 0 ||
        (userns && (userns_ids_of(0, &ids, &ignored) < 0 || userns_become_root(&ids, &ignored) < 0)))
        b->failed = errno;
    else
        b->pid = fork_hook(j, out, CLONE_PARENT, b);
    _exit(0);
}

/* A process enters a pid namespace only by being born in it, so a helper joins and makes it, as a child of
 * ours. */
static void give_birth(const struct hook_job *j, int out, struct birth *b)
{
    if (!j->namespaces) {
        b->pid = fork_hook(j, out, 0, b);
        return;
    }
    pid_t helper = fork();
    if (helper == 0)
        join_and_fork(j, out, b);
    if (helper < 0)
        b->failed = errno;
    while (helper > 0 && waitpid(helper, NULL, 0) < 0 && errno == EINTR)
        ;
}

int hook_run(const struct hook_job *j, struct err *e)
{
    _cleanup_(close_pair) int out[2] = {-1, -1};
    struct birth *b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int64_t deadline = deadline_of(j);

    if (b == MAP_FAILED)
        return err_set(e, ERR_SYS, errno, "mmap");
    b->pid = -1;
    if (open_output(out, e) < 0) {
        (void)munmap(b, sizeof(*b));
        return -1;
    }
    give_birth(j, out[1], b);
    struct birth born = *b;
    (void)munmap(b, sizeof(*b));
    cleanup_close_p(&out[1]);
    out[1] = -1;
    if (!born.failed && born.pid > 0)
        return see_it_through(j, born.pid, out[0], deadline, e);
    if (born.pid > 0)
        (void)waitpid(born.pid, NULL, 0);
    return cannot_run(j, born.failed, e);
}

/* In the sandbox
 * ----------------------------------------------------------------------------------------------------- */

/* The container's root, with the rights and limits of its program. */
static struct oci_process guest_process(const struct hook_job *j, char **only_path)
{
    static char *no_env[] = {NULL};
    const struct oci_process *own = j->hooks->config->process;
    struct oci_process p = own ? *own : (struct oci_process){0};

    p.args = j->hook->args && j->hook->args[0] ? j->hook->args : only_path;
    p.env = j->hook->env ? j->hook->env : no_env;
    p.cwd = "/";
    p.user = (struct oci_user){.umask_set = true, .umask = j->hooks->umask};
    p.terminal = false;
    return p;
}

int hook_run_guest(const struct hook_job *j, const struct launch_exec *sandbox, struct err *e)
{
    _cleanup_(close_pair) int out[2] = {-1, -1};
    char *only_path[2] = {(char *)(uintptr_t)j->hook->path, NULL};
    struct oci_process p = guest_process(j, only_path);
    struct launch_exec x = *sandbox;
    struct err why = ERR_INIT;
    int64_t deadline = deadline_of(j);

    if (open_output(out, e) < 0)
        return -1;
    x.process = &p;
    x.hook = j->hook->path;
    x.stdio[0] = j->state;
    x.stdio[1] = x.stdio[2] = out[1];
    x.tty_slave = -1;
    x.foreground = true;
    if (launch_exec(&x, &why) < 0)
        return err_set(e, ERR_HOOK, 0, "hook %s[%zu] (%.200s) cannot be run: %.200s", j->kind, j->index,
                       j->hook->path, why.msg);
    cleanup_close_p(&out[1]);
    out[1] = -1;
    return see_it_through(j, x.exec_porter, out[0], deadline, e);
}
