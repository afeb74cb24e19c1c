/* SECCOMP_RET_TRACE and PTRACE_O_TRACESECCOMP: a filter that has a tracer decide.
 *
 * Also run with: --strace
 * Also run with: --lanes=off */
#include <sched.h>

#include "tests/guest/filtered.h"
#include "tests/guest/traced.h"

#define EVENT (SIGTRAP | PTRACE_EVENT_SECCOMP << 8)

static void filter(void)
{
    const struct sock_filter f[] = {LOAD(nr),
                                    IF_CALL(SYS_getppid, SECCOMP_RET_TRACE | 7),
                                    IF_CALL(SYS_sched_yield, SECCOMP_RET_TRACE | 8),
                                    IF_CALL(SYS_execve, SECCOMP_RET_TRACE | 9),
                                    IF_CALL(SYS_clone, SECCOMP_RET_TRACE | 10),
                                    IF_CALL(SYS_fork, SECCOMP_RET_TRACE | 10),
                                    IF_CALL(SYS_getpgrp, SECCOMP_RET_ERRNO | EDOM),
                                    IF_CALL(SYS_getpgid, SECCOMP_RET_TRACE | 11),
                                    RET(SECCOMP_RET_ALLOW)};
    INSTALL(f, 0);
}

/* A traced child, which stands before its filter is made. */
static pid_t child_of(void (*fn)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        MUST(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
        raise(SIGSTOP);
        filter();
        fn();
        _exit(0);
    }
    MUST(wait_for(pid) >> 8 == SIGSTOP);
    return pid;
}

static pid_t traced(void (*fn)(void))
{
    pid_t pid = child_of(fn);
    MUST(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD) == 0);
    return pid;
}

static int goes_on(pid_t pid, int how)
{
    MUST(ptrace(how, pid, 0, 0) == 0);
    return wait_for(pid);
}

static unsigned long message(pid_t pid)
{
    unsigned long m = 0;
    MUST(ptrace(PTRACE_GETEVENTMSG, pid, 0, &m) == 0);
    return m;
}

static void change(pid_t pid, long nr, long rax)
{
    struct user_regs_struct r = regs_of(pid);
    r.orig_rax = (unsigned long)nr;
    r.rax = (unsigned long)rax;
    MUST(ptrace(PTRACE_SETREGS, pid, 0, &r) == 0);
}

static void exits_with(const char *label, pid_t pid, int code)
{
    int status = goes_on(pid, PTRACE_CONT);
    CHECK(label, WIFEXITED(status) && WEXITSTATUS(status) == code);
}

static void asks_parent(void)
{
    long r = syscall(SYS_getppid, 1, 2, 3);
    _exit(r < 0 ? errno : (int)r);
}

static void events(void)
{
    pid_t pid = traced(asks_parent);
    CHECK("an event", goes_on(pid, PTRACE_CONT) >> 8 == EVENT && message(pid) == 7);
    struct user_regs_struct r = regs_of(pid);
    CHECK("before the call", r.orig_rax == SYS_getppid && (long)r.rax == -ENOSYS && r.rdi == 1 && r.rdx == 3);
    struct __ptrace_syscall_info i = {0};
    long n = ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(i), &i);
    CHECK("told so", n > 0 && i.op == PTRACE_SYSCALL_INFO_SECCOMP && i.seccomp.nr == SYS_getppid &&
                         i.seccomp.args[1] == 2 && i.seccomp.ret_data == 7);
    exits_with("it is made", pid, getpid());
    pid = traced(asks_parent);
    goes_on(pid, PTRACE_CONT);
    change(pid, -1, 55);
    exits_with("it is left out", pid, 55);
    pid = traced(asks_parent);
    goes_on(pid, PTRACE_CONT);
    change(pid, SYS_getpid, -ENOSYS);
    exits_with("it is another", pid, pid);
    pid = traced(asks_parent);
    goes_on(pid, PTRACE_CONT);
    change(pid, SYS_getpgrp, -ENOSYS);
    exits_with("which is filtered", pid, EDOM);
    pid = traced(asks_parent);
    goes_on(pid, PTRACE_CONT);
    change(pid, SYS_getpgid, -ENOSYS);
    struct user_regs_struct own = regs_of(pid);
    own.rdi = 0;
    MUST(ptrace(PTRACE_SETREGS, pid, 0, &own) == 0);
    exits_with("but not asked about again", pid, getpgrp());
}

static void with_calls(void)
{
    int status;
    pid_t pid = traced(asks_parent);
    do
        status = goes_on(pid, PTRACE_SYSCALL);
    while (regs_of(pid).orig_rax != SYS_getppid);
    CHECK("the call's beginning", status >> 8 == (SIGTRAP | 0x80));
    CHECK("then the filter's event", goes_on(pid, PTRACE_SYSCALL) >> 8 == EVENT && message(pid) == 7);
    CHECK("then its end",
          goes_on(pid, PTRACE_SYSCALL) >> 8 == (SIGTRAP | 0x80) && (pid_t)regs_of(pid).rax == getpid());
    exits_with("and on", pid, getpid());
    pid = traced(asks_parent);
    goes_on(pid, PTRACE_CONT);
    CHECK("the end only",
          goes_on(pid, PTRACE_SYSCALL) >> 8 == (SIGTRAP | 0x80) && (pid_t)regs_of(pid).rax == getpid());
    exits_with("and on again", pid, getpid());
    pid = traced(asks_parent);
    do
        status = goes_on(pid, PTRACE_SYSCALL);
    while (regs_of(pid).orig_rax != SYS_getppid);
    change(pid, SYS_gettid, -ENOSYS);
    CHECK("another before the filter",
          goes_on(pid, PTRACE_SYSCALL) >> 8 == (SIGTRAP | 0x80) && (pid_t)regs_of(pid).rax == pid);
    exits_with("has no event", pid, pid);
}

static void yields(void)
{
    _exit(sched_yield() < 0 ? errno : 3);
}

static void executes(void)
{
    execl("/proc/self/exe", "traced", "fine", NULL);
    _exit(errno);
}

static void forks(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(9);
    int status;
    _exit(pid < 0 ? errno : waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 9 ? 4 : 5);
}

static void others(void)
{
    pid_t pid = traced(yields);
    CHECK("a native call", goes_on(pid, PTRACE_CONT) >> 8 == EVENT && message(pid) == 8);
    exits_with("made", pid, 3);
    pid = traced(executes);
    CHECK("execve", goes_on(pid, PTRACE_CONT) >> 8 == EVENT && message(pid) == 9);
    CHECK("its SIGTRAP", goes_on(pid, PTRACE_CONT) >> 8 == SIGTRAP);
    exits_with("executed", pid, 6);
    pid = traced(forks);
    CHECK("fork", goes_on(pid, PTRACE_CONT) >> 8 == EVENT && message(pid) == 10);
    /* What interrupts its wait for the child is not this test's. */
    int status = goes_on(pid, PTRACE_CONT);
    if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGCHLD)
        status = goes_on(pid, PTRACE_CONT);
    CHECK("forked", WIFEXITED(status) && WEXITSTATUS(status) == 4);
    pid = traced(yields);
    goes_on(pid, PTRACE_CONT);
    change(pid, -1, -EXFULL);
    exits_with("not made", pid, EXFULL);
}

static void asks_often(void)
{
    for (int i = 0; i < 100; i++)
        if (syscall(SYS_getppid) != getppid())
            _exit(1);
    _exit(2);
}

static void without(void)
{
    pid_t pid = child_of(asks_parent);
    exits_with("a tracer that does not want to see", pid, ENOSYS);
    pid = child_of(asks_parent);
    MUST(ptrace(PTRACE_DETACH, pid, 0, 0) == 0);
    int status = wait_for(pid);
    CHECK("no tracer", WIFEXITED(status) && WEXITSTATUS(status) == ENOSYS);
    pid = traced(asks_often);
    int n = 0;
    while (goes_on(pid, PTRACE_CONT) >> 8 == EVENT)
        n++;
    value("often", n);
}

static void later(void)
{
    int p[2];
    char c;
    MUST(pipe(p) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        filter();
        (void)!read(p[0], &c, 1);
        asks_parent();
    }
    await_sleep(pid);
    MUST(ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESECCOMP) == 0);
    MUST(write(p[1], "x", 1) == 1);
    CHECK("seized later", wait_for(pid) >> 8 == EVENT && message(pid) == 7);
    exits_with("goes on", pid, getpid());
    uint32_t action = SECCOMP_RET_TRACE;
    CHECK("the action is there", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0);
}

static void killed(void)
{
    pid_t pid = traced(asks_parent);
    goes_on(pid, PTRACE_CONT);
    kill(pid, SIGKILL);
    int status = wait_for(pid);
    CHECK("killed at its event", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc == 2)
        return 6;
    events();
    with_calls();
    others();
    without();
    later();
    killed();
    return check_done();
}
