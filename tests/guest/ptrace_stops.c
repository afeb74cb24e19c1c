/* ptrace(2): stops, and how a tracee goes on from them.
 * Also run with: --lanes=off
 * Also run with: --strace */
#include <pthread.h>
#include <signal.h>

#include "tests/guest/traced.h"

/* Signals --------------------------------------------------------------------------------------------------
 */

static volatile sig_atomic_t got, got_code;

static void on_signal(int sig, siginfo_t *si, void *uc)
{
    (void)uc;
    got = sig;
    got_code = si->si_code;
}

static void handle(int sig, int flags)
{
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags};
    sigaction(sig, &sa, NULL);
}

static void raises(void)
{
    handle(SIGUSR1, 0);
    handle(SIGUSR2, 0);
    raise(SIGUSR1); /* suppressed */
    if (got)
        _exit(1);
    raise(SIGUSR1); /* let in */
    if (got != SIGUSR1)
        _exit(2);
    got = 0;
    raise(SIGUSR1); /* becomes another */
    if (got != SIGUSR2)
        _exit(3);
    got = 0;
    signal(SIGTERM, SIG_IGN);
    raise(SIGTERM); /* seen all the same */
    _exit(7);
}

static void signals(void)
{
    siginfo_t si;
    pid_t pid = traced_child(raises);

    started(pid);
    ptrace(PTRACE_CONT, pid, 0, 0);
    CHECK("a signal stops it", stopped_by(wait_for(pid), SIGUSR1));
    CHECK("GETSIGINFO", ptrace(PTRACE_GETSIGINFO, pid, 0, &si) == 0 && si.si_signo == SIGUSR1 &&
                            si.si_code == SI_TKILL && si.si_pid == pid);
    ptrace(PTRACE_CONT, pid, 0, 0);
    CHECK("suppressed, and the next", stopped_by(wait_for(pid), SIGUSR1));
    ptrace(PTRACE_CONT, pid, 0, SIGUSR1);
    CHECK("let in, and the next", stopped_by(wait_for(pid), SIGUSR1));
    ptrace(PTRACE_CONT, pid, 0, SIGUSR2);
    CHECK("an ignored one", stopped_by(wait_for(pid), SIGTERM));
    CHECK("PTRACE_CONT", ptrace(PTRACE_CONT, pid, 0, SIGTERM) == 0);
    CHECK_ERRNO("no longer stopped", ptrace(PTRACE_PEEKUSER, pid, 0, 0), ESRCH);
    ended(pid, 7);
    CHECK_ERRNO("gone", ptrace(PTRACE_CONT, pid, 0, 0), ESRCH);
}

static void dies(void)
{
    raise(SIGTERM);
}

static void fatal(void)
{
    pid_t pid = traced_child(dies);

    started(pid);
    ptrace(PTRACE_CONT, pid, 0, 0);
    CHECK("SIGTERM first stops", stopped_by(wait_for(pid), SIGTERM));
    ptrace(PTRACE_CONT, pid, 0, SIGTERM);
    int status = wait_for(pid);
    CHECK("then kills", WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);

    pid = traced_child(dies);
    started(pid);
    CHECK("PTRACE_KILL", ptrace(PTRACE_KILL, pid, 0, 0) == 0);
    status = wait_for(pid);
    CHECK("SIGKILL", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

    pid = traced_child(dies);
    started(pid);
    kill(pid, SIGKILL);
    status = wait_for(pid);
    CHECK("a stopped one can be killed", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void reads(void)
{
    int p[2];
    char c;

    handle(SIGUSR1, SA_RESTART);
    if (pipe(p) < 0)
        _exit(1);
    alarm(100);
    long n = read(p[0], &c, 1);
    _exit(n == 1 ? 3 : 4);
}

/* A call that is interrupted shows how it would go on. */
static void interrupted(void)
{
    struct user_regs_struct r;
    pid_t pid = traced_child(reads);
    int status;

    started(pid);
    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    do {
        ptrace(PTRACE_SYSCALL, pid, 0, 0);
        status = wait_for(pid);
        r = regs_of(pid);
    } while (stopped_by(status, SIGTRAP | 0x80) && r.orig_rax != SYS_read);
    ptrace(PTRACE_SYSCALL, pid, 0, 0);
    await_sleep(pid);
    kill(pid, SIGUSR1);
    CHECK("the call ends", stopped_by(wait_for(pid), SIGTRAP | 0x80));
    r = regs_of(pid);
    CHECK("ERESTARTSYS", (long)r.rax == -512 && r.orig_rax == SYS_read);
    ptrace(PTRACE_SYSCALL, pid, 0, 0);
    CHECK("the signal", stopped_by(wait_for(pid), SIGUSR1));
    ptrace(PTRACE_SYSCALL, pid, 0, SIGUSR1);
    CHECK("the way back from the handler", stopped_by(wait_for(pid), SIGTRAP | 0x80));
    r = regs_of(pid);
    CHECK("rt_sigreturn", r.orig_rax == SYS_rt_sigreturn);
    ptrace(PTRACE_SYSCALL, pid, 0, 0);
    CHECK("is over", stopped_by(wait_for(pid), SIGTRAP | 0x80));
    ptrace(PTRACE_SYSCALL, pid, 0, 0);
    CHECK("and again", stopped_by(wait_for(pid), SIGTRAP | 0x80));
    r = regs_of(pid);
    CHECK("it is made again", r.orig_rax == SYS_read && (long)r.rax == -ENOSYS);
    kill(pid, SIGKILL);
    wait_for(pid);
}

/* Events ---------------------------------------------------------------------------------------------------
 */

/* With its child's status. */
_Noreturn static void exit_as(pid_t child)
{
    int status;
    waitpid(child, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/* Its next stop, of which that its child has ended is none. */
static int wait_past_sigchld(pid_t pid)
{
    int status = wait_for(pid);
    if (stopped_by(status, SIGCHLD)) {
        ptrace(PTRACE_CONT, pid, 0, SIGCHLD);
        status = wait_for(pid);
    }
    return status;
}

static void forks(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(21);
    exit_as(pid);
}

static void fork_event(void)
{
    unsigned long child = 0, message = 0;
    pid_t pid = traced_child(forks);

    started(pid);
    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEFORK | PTRACE_O_TRACEEXIT);
    ptrace(PTRACE_CONT, pid, 0, 0);
    CHECK("TRACEFORK", is_event(wait_for(pid), PTRACE_EVENT_FORK));
    CHECK("GETEVENTMSG", ptrace(PTRACE_GETEVENTMSG, pid, 0, &child) == 0 && child > (unsigned long)pid);
    CHECK("the child stops", stopped_by(wait_for((pid_t)child), SIGSTOP));
    ptrace(PTRACE_CONT, pid, 0, 0);
    ptrace(PTRACE_CONT, child, 0, 0);
    CHECK("TRACEEXIT", is_event(wait_for((pid_t)child), PTRACE_EVENT_EXIT));
    ptrace(PTRACE_GETEVENTMSG, child, 0, &message);
    CHECK("with its status", message == 21 << 8);
    ptrace(PTRACE_CONT, child, 0, 0);
    ended((pid_t)child, 21);
    int status = wait_past_sigchld(pid);
    CHECK("its own end", is_event(status, PTRACE_EVENT_EXIT));
    ptrace(PTRACE_CONT, pid, 0, 0);
    ended(pid, 21);
}

static char self[4096];

static void vforks(void)
{
    volatile pid_t pid = vfork();
    if (pid == 0) {
        execl(self, self, "exit", (char *)NULL);
        _exit(1);
    }
    exit_as(pid);
}

static void vfork_event(void)
{
    unsigned long child = 0, done = 0;
    pid_t pid = traced_child(vforks);

    started(pid);
    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXEC);
    ptrace(PTRACE_CONT, pid, 0, 0);
    CHECK("TRACEVFORK", is_event(wait_for(pid), PTRACE_EVENT_VFORK));
    ptrace(PTRACE_GETEVENTMSG, pid, 0, &child);
    CHECK("its child stops", stopped_by(wait_for((pid_t)child), SIGSTOP));
    ptrace(PTRACE_CONT, pid, 0, 0);
    CHECK("and it waits for the child", waitpid(pid, NULL, WNOHANG | __WALL) == 0);
    CHECK_ERRNO("as no stopped one", ptrace(PTRACE_PEEKUSER, pid, 0, 0), ESRCH);
    ptrace(PTRACE_CONT, child, 0, 0);
    CHECK("which executes", is_event(wait_for((pid_t)child), PTRACE_EVENT_EXEC));
    CHECK("TRACEVFORKDONE", is_event(wait_for(pid), PTRACE_EVENT_VFORK_DONE));
    ptrace(PTRACE_GETEVENTMSG, pid, 0, &done);
    CHECK("of that child", done == child);
    ptrace(PTRACE_CONT, pid, 0, 0);
    ptrace(PTRACE_CONT, child, 0, 0);
    ended((pid_t)child, 31);
    int status = wait_past_sigchld(pid);
    CHECK("ends", WIFEXITED(status) && WEXITSTATUS(status) == 31);
}

/* Traced by its calls, a vfork is still one: the child's writes are seen, and its end waited for. */
static void vforks_and_sees(void)
{
    volatile int seen = 0;
    volatile pid_t pid = vfork();
    if (pid == 0) {
        seen = 5;
        _exit(0);
    }
    int at_once = seen;
    waitpid(pid, NULL, 0);
    _exit(at_once);
}

static void vfork_by_calls(void)
{
    pid_t pid = traced_child(vforks_and_sees);
    int status;

    started(pid);
    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
    do {
        ptrace(PTRACE_SYSCALL, pid, 0, 0);
        status = wait_for(pid);
    } while (WIFSTOPPED(status));
    CHECK("a vfork that is seen by its calls", WIFEXITED(status) && WEXITSTATUS(status) == 5);
}

static void *in_thread(void *arg)
{
    return arg;
}

static void threads(void)
{
    pthread_t t;
    pthread_create(&t, NULL, in_thread, NULL);
    pthread_join(t, NULL);
}

static void clone_event(void)
{
    unsigned long child = 0;
    pid_t pid = traced_child(threads);

    started(pid);
    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE);
    ptrace(PTRACE_CONT, pid, 0, 0);
    CHECK("TRACECLONE", is_event(wait_for(pid), PTRACE_EVENT_CLONE));
    ptrace(PTRACE_GETEVENTMSG, pid, 0, &child);
    CHECK("the thread stops", stopped_by(wait_for((pid_t)child), SIGSTOP));
    ptrace(PTRACE_CONT, pid, 0, 0);
    ptrace(PTRACE_CONT, child, 0, 0);
    ended((pid_t)child, 0);
    ended(pid, 0);
}

static void executes(void)
{
    execl(self, self, "exit", (char *)NULL);
    _exit(1);
}

static void exec_event(void)
{
    struct user_regs_struct r;
    pid_t pid = traced_child(executes);

    started(pid);
    ptrace(PTRACE_CONT, pid, 0, 0);
    CHECK("SIGTRAP after exec", stopped_by(wait_for(pid), SIGTRAP));
    ptrace(PTRACE_CONT, pid, 0, 0);
    ended(pid, 31);

    pid = traced_child(executes);
    started(pid);
    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD);
    ptrace(PTRACE_CONT, pid, 0, 0);
    CHECK("TRACEEXEC", is_event(wait_for(pid), PTRACE_EVENT_EXEC));
    ptrace(PTRACE_SYSCALL, pid, 0, 0);
    CHECK("the end of execve or the next call", stopped_by(wait_for(pid), SIGTRAP | 0x80));
    r = regs_of(pid);
    CHECK("in the new program", r.rsp != 0);
    ptrace(PTRACE_CONT, pid, 0, 0);
    ended(pid, 31);
}

/* Attaching ------------------------------------------------------------------------------------------------
 */

static int status_line(pid_t pid, const char *key, char *buf, size_t n)
{
    char path[64], line[4096];

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    int fd = open(path, O_RDONLY);
    ssize_t len = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
    close(fd);
    if (len < 0)
        return -1;
    line[len] = 0;
    char *at = strstr(line, key);
    if (!at)
        return -1;
    at += strlen(key) + 1;
    snprintf(buf, n, "%.*s", (int)strcspn(at, "\n"), at);
    return 0;
}

static void attaching(void)
{
    char text_[64] = "";
    int status;
    pid_t pid = idle_child();

    CHECK_ERRNO("not attached", ptrace(PTRACE_CONT, pid, 0, 0), ESRCH);
    CHECK("ATTACH", ptrace(PTRACE_ATTACH, pid, 0, 0) == 0);
    CHECK_ERRNO("only once", ptrace(PTRACE_ATTACH, pid, 0, 0), EPERM);
    CHECK("stops it", stopped_by(wait_for(pid), SIGSTOP));
    status_line(pid, "State:", text_, sizeof(text_));
    CHECK("state", strcmp(text_, "t (tracing stop)") == 0);
    status_line(pid, "TracerPid:", text_, sizeof(text_));
    CHECK("TracerPid", atoi(text_) == getpid());
    CHECK("DETACH", ptrace(PTRACE_DETACH, pid, 0, 0) == 0);
    status_line(pid, "TracerPid:", text_, sizeof(text_));
    CHECK("nobody's", atoi(text_) == 0);
    kill(pid, SIGTERM);
    status = wait_for(pid);
    CHECK("is as it was", WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    CHECK_ERRNO("oneself", ptrace(PTRACE_ATTACH, getpid(), 0, 0), EPERM);
    CHECK_ERRNO("nobody", ptrace(PTRACE_ATTACH, 4000000, 0, 0), ESRCH);
    CHECK_ERRNO("no request", ptrace(0x7777, pid, 0, 0), ESRCH);
}

static void attaching_to_a_stopped_one(void)
{
    siginfo_t si;
    pid_t pid = idle_child();

    kill(pid, SIGSTOP);
    CHECK("stopped", waitpid(pid, NULL, WUNTRACED) == pid && ptrace(PTRACE_ATTACH, pid, 0, 0) == 0);
    CHECK("told again, as a group-stop",
          stopped_by(wait_for(pid), SIGSTOP) && ptrace(PTRACE_GETSIGINFO, pid, 0, &si) == -1);
    ptrace(PTRACE_CONT, pid, 0, 0);
    CHECK("then the signal of ATTACH",
          stopped_by(wait_for(pid), SIGSTOP) && ptrace(PTRACE_GETSIGINFO, pid, 0, &si) == 0);
    kill(pid, SIGKILL);
    wait_for(pid);
}

static void seizing(void)
{
    int status;
    siginfo_t si;
    pid_t pid = idle_child();

    CHECK("SEIZE", ptrace(PTRACE_SEIZE, pid, 0, 0) == 0);
    CHECK("does not stop it", waitpid(pid, &status, WNOHANG | __WALL) == 0);
    CHECK("INTERRUPT", ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0);
    CHECK("does", is_event(wait_for(pid), PTRACE_EVENT_STOP));
    ptrace(PTRACE_CONT, pid, 0, 0);
    kill(pid, SIGSTOP);
    CHECK("a stop signal", stopped_by(wait_for(pid), SIGSTOP));
    ptrace(PTRACE_CONT, pid, 0, SIGSTOP);
    status = wait_for(pid);
    CHECK("a group-stop", status >> 8 == (SIGSTOP | PTRACE_EVENT_STOP << 8));
    CHECK("its siginfo", ptrace(PTRACE_GETSIGINFO, pid, 0, &si) == 0 && si.si_code == status >> 8);
    CHECK("LISTEN", ptrace(PTRACE_LISTEN, pid, 0, 0) == 0);
    CHECK("stays", waitpid(pid, &status, WNOHANG | __WALL) == 0);
    kill(pid, SIGCONT);
    CHECK("SIGCONT is news", is_event(wait_for(pid), PTRACE_EVENT_STOP));
    ptrace(PTRACE_CONT, pid, 0, 0);
    CHECK("and a signal", stopped_by(wait_for(pid), SIGCONT));
    ptrace(PTRACE_CONT, pid, 0, SIGCONT);
    kill(pid, SIGKILL);
    wait_for(pid);
}

/* A tracer that ends lets go, or kills. */
static void tracers_end(void)
{
    int status;

    for (int kills = 0; kills < 2; kills++) {
        pid_t pid = idle_child(), tracer = fork();
        if (tracer == 0) {
            long r = ptrace(PTRACE_SEIZE, pid, 0, kills ? PTRACE_O_EXITKILL : 0);
            _exit(r == 0 ? 0 : 1);
        }
        ended(tracer, 0);
        if (!kills)
            kill(pid, SIGTERM);
        status = wait_for(pid);
        value("ends by", WTERMSIG(status));
        CHECK("EXITKILL", WTERMSIG(status) == (kills ? SIGKILL : SIGTERM));
    }
}

/* Who is not the parent waits, too. */
static void other_tracer(void)
{
    int p[2];
    char c;

    if (pipe(p) < 0)
        return;
    pid_t pid = idle_child(), tracer = fork();
    if (tracer == 0) {
        bool good = ptrace(PTRACE_ATTACH, pid, 0, 0) == 0 && stopped_by(wait_for(pid), SIGSTOP) &&
                    ptrace(PTRACE_CONT, pid, 0, 0) == 0 && write(p[1], "x", 1) == 1;
        int status = wait_for(pid);
        good = good && stopped_by(status, SIGUSR1);
        ptrace(PTRACE_CONT, pid, 0, SIGUSR1);
        status = wait_for(pid);
        _exit(good && WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1 ? 0 : 1);
    }
    CHECK("it is there", read(p[0], &c, 1) == 1);
    kill(pid, SIGUSR1);
    ended(tracer, 0);
    int status = wait_for(pid);
    CHECK("the parent hears of the end", WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
    close(p[0]);
    close(p[1]);
}

/* In the middle --------------------------------------------------------------------------------------------
 */

static int told[2];

/* All kinds of stops, and a word at the end. */
static void varied(void)
{
    handle(SIGUSR1, 0);
    raise(SIGUSR1);
    threads();
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    char c = got == SIGUSR1 ? 'g' : 'n';
    (void)!write(told[1], &c, 1);
    _exit(17);
}

#define ALL_STOPS                                                                                            \
    (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEVFORK |                \
     PTRACE_O_TRACEEXEC)

/* Lets all that it traces go on until that one has stopped n more times. Its status then. */
static int advance(pid_t pid, int n)
{
    int status = SIGSTOP << 8 | 0x7f;
    pid_t who = pid;

    for (;;) {
        if (who == pid && (!WIFSTOPPED(status) || n-- == 0))
            return status;
        int sig = stopped_by(status, SIGUSR1) || stopped_by(status, SIGCHLD) ? WSTOPSIG(status) : 0;
        if (WIFSTOPPED(status))
            ptrace(PTRACE_SYSCALL, who, 0, sig);
        who = waitpid(-1, &status, __WALL);
    }
}

/* The tracee is killed at its nth stop. 1: it had ended before. */
static int kill_at(int n)
{
    pid_t pid = traced_child(varied);
    int status = wait_for(pid);
    ptrace(PTRACE_SETOPTIONS, pid, 0, ALL_STOPS | PTRACE_O_EXITKILL);
    status = advance(pid, n);
    if (!WIFSTOPPED(status))
        return WIFEXITED(status) && WEXITSTATUS(status) == 17 ? 1 : 2;
    kill(pid, SIGKILL);
    for (pid_t who = 0; who != pid || WIFSTOPPED(status);) /* its other threads' ends come first */
        if ((who = waitpid(-1, &status, __WALL)) < 0)
            return 4;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : 3;
}

/* Its tracer, which is no parent of it, ends at its nth stop. */
static int leave_at(int n)
{
    int ready[2], status;
    char c = 0;
    MUST(pipe(told) == 0 && pipe(ready) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)!read(ready[0], &c, 1);
        varied();
    }
    pid_t tracer = fork();
    if (tracer == 0) {
        if (ptrace(PTRACE_SEIZE, pid, 0, ALL_STOPS) < 0 || ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0)
            _exit(9);
        (void)!write(ready[1], "x", 1);
        wait_for(pid);
        status = advance(pid, n);
        _exit(!WIFSTOPPED(status));
    }
    int code = wait_for(tracer);
    status = wait_for(pid);
    close(told[1]);
    bool said = read(told[0], &c, 1) == 1;
    close(told[0]);
    close(ready[0]);
    close(ready[1]);
    if (!WIFEXITED(code) || WEXITSTATUS(code) > 1)
        return 2;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 17 || !said) {
        dprintf(1, "at stop %d: status %x, %c\n", n, (unsigned)status, said ? c : '-');
        return 3;
    }
    return WEXITSTATUS(code);
}

/* What somebody does at each stop in turn. */
static int at_each(int (*fn)(int n))
{
    int status = 0, n = 0;
    for (; WIFEXITED(status) && WEXITSTATUS(status) == 0 && n < 400; n++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(fn(n));
        status = wait_for(pid);
    }
    value("all stops were tried", n > 20 && WIFEXITED(status) && WEXITSTATUS(status) == 1);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void middle(void)
{
    CHECK("a tracee is killed at each of its stops", at_each(kill_at) == 1);
    CHECK("a tracer ends at each of its tracee's", at_each(leave_at) == 1);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return 31;
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
        snprintf(self, sizeof(self), "%s", argv[0]);
    signals();
    fatal();
    interrupted();
    fork_event();
    vfork_event();
    vfork_by_calls();
    clone_event();
    exec_event();
    attaching();
    attaching_to_a_stopped_one();
    seizing();
    tracers_end();
    other_tracer();
    middle();
    return check_done();
}
