/* Filters that a program puts on itself: seccomp(2), by verdict; what children, threads and new images
 * inherit. */
#include <pthread.h>
#include <signal.h>

#include "tests/guest/filtered.h"

static volatile sig_atomic_t trapped;
static siginfo_t trap_info;

static void on_sigsys(int signo, siginfo_t *si, void *context)
{
    (void)signo;
    (void)context;
    trap_info = *si;
    trapped++;
}

static void refuse(void)
{
    struct sock_filter f[] = {LOAD(nr), IF_CALL(SYS_getppid, SECCOMP_RET_ERRNO | EDOM),
                              IF_CALL(SYS_execve, SECCOMP_RET_ERRNO | EACCES),
                              IF_CALL(SYS_getpgrp, SECCOMP_RET_ERRNO), RET(SECCOMP_RET_ALLOW)};
    struct sock_filter second[] = {LOAD(nr), IF_CALL(SYS_getppid, SECCOMP_RET_ALLOW),
                                   IF_CALL(SYS_getsid, SECCOMP_RET_ERRNO | ENODEV), RET(SECCOMP_RET_ALLOW)};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    CHECK("install", TRY(f, 0) == 0);
    CHECK("mode", prctl(PR_GET_SECCOMP) == SECCOMP_MODE_FILTER);
    CHECK_ERRNO("refused", syscall(SYS_getppid), EDOM);
    CHECK("without an error", syscall(SYS_getpgrp) == 0);
    CHECK_ERRNO("execve", execl("/bin/true", "true", NULL), EACCES);
    CHECK("a second", TRY(second, 0) == 0);
    CHECK_ERRNO("the second counts", syscall(SYS_getsid, 0), ENODEV);
    CHECK_ERRNO("the first still does", syscall(SYS_getppid), EDOM);
    if (fork() == 0)
        _exit(syscall(SYS_getppid) == -1 && errno == EDOM ? 0 : 1);
    int st;
    wait(&st);
    CHECK("a child inherits", st == 0);
}

static void trap(void)
{
    struct sock_filter f[] = {LOAD(nr), IF_CALL(SYS_getppid, SECCOMP_RET_TRAP | 5), RET(SECCOMP_RET_ALLOW)};
    struct sigaction sa = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &sa, NULL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    TRY(f, 0);
    syscall(SYS_getppid);
    CHECK("a trap", trapped == 1 && trap_info.si_errno == 5 && trap_info.si_syscall == SYS_getppid);
    CHECK("its code", trap_info.si_code == 1 && trap_info.si_arch == 0xc000003e);
}

static void be_killed(void)
{
    struct sock_filter f[] = {LOAD(nr), IF_CALL(SYS_getppid, SECCOMP_RET_KILL_PROCESS),
                              RET(SECCOMP_RET_ALLOW)};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    TRY(f, 0);
    syscall(SYS_getppid);
}

static void be_strict(void)
{
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    dprintf(1, "ok strict still writes\n");
    syscall(SYS_getppid);
}

static void strict_exit(void)
{
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    syscall(SYS_exit, 5);
}

static void *ask_parent(void *arg)
{
    pthread_barrier_wait(arg);
    pthread_barrier_wait(arg);
    return (void *)(intptr_t)(syscall(SYS_getppid) == -1 ? errno : 0);
}

static void all_threads(void)
{
    struct sock_filter f[] = {LOAD(nr), IF_CALL(SYS_getppid, SECCOMP_RET_ERRNO | EDOM),
                              RET(SECCOMP_RET_ALLOW)};
    pthread_barrier_t b;
    pthread_t t;
    void *r;
    pthread_barrier_init(&b, NULL, 2);
    pthread_create(&t, NULL, ask_parent, &b);
    pthread_barrier_wait(&b);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    CHECK("TSYNC", TRY(f, SECCOMP_FILTER_FLAG_TSYNC) == 0);
    pthread_barrier_wait(&b);
    pthread_join(t, &r);
    CHECK("another thread has it", (intptr_t)r == EDOM);
}

/* The fifth argument of a clone that sets no thread's memory is nothing to Linux, but to a filter. */
static void look_at_clone(void)
{
    struct sock_filter f[] = {LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 2), LOAD(args[4]),
                              IF_CALL(0x1234, SECCOMP_RET_ERRNO | EDOM), RET(SECCOMP_RET_ALLOW)};
    sigset_t usr1;
    int st = -1;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    MUST(TRY(f, 0) == 0 && sigprocmask(SIG_BLOCK, &usr1, NULL) == 0);
    CHECK_ERRNO("clone's fifth argument", syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0x1234), EDOM);
    long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0x4321);
    if (pid == 0) {
        sigset_t now;
        _exit(sigprocmask(SIG_BLOCK, NULL, &now) == 0 && sigismember(&now, SIGUSR1) &&
                      !sigismember(&now, SIGALRM)
                  ? 0
                  : 1);
    }
    CHECK("another one, and the mask", pid > 0 && waitpid((pid_t)pid, &st, 0) == pid && st == 0);
}

static void bad_ones(void)
{
    struct sock_filter no_return[] = {LOAD(nr)};
    struct sock_filter unaligned[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), RET(SECCOMP_RET_ALLOW)};
    struct sock_filter beyond[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), RET(SECCOMP_RET_ALLOW)};
    struct sock_filter far[] = {BPF_JUMP(BPF_JMP | BPF_JA, 5, 0, 0), RET(SECCOMP_RET_ALLOW)};
    struct sock_filter packet[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), RET(SECCOMP_RET_ALLOW)};
    struct sock_filter by_zero[] = {BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), RET(SECCOMP_RET_ALLOW)};
    uint32_t action = SECCOMP_RET_ERRNO;
    CHECK_ERRNO("without no_new_privs, of nothing",
                syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, bad_address), EFAULT);
    CHECK_ERRNO("without no_new_privs", TRY(far, 0), EACCES);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    CHECK_ERRNO("no return", TRY(no_return, 0), EINVAL);
    CHECK_ERRNO("unaligned", TRY(unaligned, 0), EINVAL);
    CHECK_ERRNO("beyond the data", TRY(beyond, 0), EINVAL);
    CHECK_ERRNO("a jump out", TRY(far, 0), EINVAL);
    CHECK_ERRNO("not for packets", TRY(packet, 0), EINVAL);
    CHECK_ERRNO("a division by zero", TRY(by_zero, 0), EINVAL);
    CHECK_ERRNO("empty", filter_try(far, 0, 0), EINVAL);
    CHECK_ERRNO("nowhere", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, bad_address), EFAULT);
    CHECK_ERRNO("unknown flags", TRY(far, 1U << 30), EINVAL);
    CHECK_ERRNO("unknown operation", syscall(SYS_seccomp, 77, 0, NULL), EINVAL);
    CHECK("an action", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0);
    action = 0x12340000;
    CHECK_ERRNO("no action", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action), EOPNOTSUPP);
}

int main(void)
{
    in_child(bad_ones);
    in_child(refuse);
    in_child(trap);
    int st = in_child(be_killed);
    CHECK("killed", WIFSIGNALED(st) && WTERMSIG(st) == SIGSYS);
    st = in_child(be_strict);
    CHECK("strict kills", WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL);
    st = in_child(strict_exit);
    CHECK("strict exits", WIFEXITED(st) && WEXITSTATUS(st) == 5);
    in_child(all_threads);
    in_child(look_at_clone);
    return check_done();
}
