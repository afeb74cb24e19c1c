/* Filters that a program puts on itself, and calls that need no kernel of ours: memory, waits, clocks, and
 * those that need registers. */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tests/guest/filtered.h"

static void refused(void)
{
    struct sock_filter f[] = {LOAD(nr),
                              IF_CALL(SYS_sched_yield, SECCOMP_RET_ERRNO | EDOM),
                              IF_CALL(SYS_madvise, SECCOMP_RET_ERRNO | EXDEV),
                              IF_CALL(SYS_mremap, SECCOMP_RET_ERRNO | ENODEV),
                              IF_CALL(SYS_clock_gettime, SECCOMP_RET_ERRNO | ENOTTY),
                              IF_CALL(SYS_sigaltstack, SECCOMP_RET_ERRNO | ENOSPC),
                              IF_CALL(SYS_brk, SECCOMP_RET_ERRNO),
                              RET(SECCOMP_RET_ALLOW)};
    struct timespec ts;
    stack_t ss;
    char *p = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK("before", sched_yield() == 0 && sigaltstack(NULL, &ss) == 0);
    INSTALL(f, 0);
    CHECK_ERRNO("sched_yield", sched_yield(), EDOM);
    CHECK_ERRNO("madvise", madvise(p, 4096, MADV_NORMAL), EXDEV);
    CHECK_ERRNO("mremap", (intptr_t)mremap(p, 8192, 4096, 0), ENODEV);
    CHECK_ERRNO("clock_gettime", syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts), ENOTTY);
    CHECK_ERRNO("sigaltstack", sigaltstack(NULL, &ss), ENOSPC);
    CHECK("brk", syscall(SYS_brk, 0) == 0);
    CHECK("others", munmap(p, 4096) == 0 && getppid() > 0);
    if (fork() == 0)
        _exit(sched_yield() == -1 && errno == EDOM ? 7 : 8);
    int st;
    CHECK("a child", wait(&st) > 0 && WEXITSTATUS(st) == 7);
}

/* As sandboxes do that want no memory that is written and executed. */
static void no_write_and_execute(void)
{
    struct sock_filter f[] = {
        LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 4),
        LOAD(args[2]),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, PROT_WRITE | PROT_EXEC),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROT_WRITE | PROT_EXEC, 0, 1),
        RET(SECCOMP_RET_ERRNO | EPERM),
        RET(SECCOMP_RET_ALLOW),
    };
    char name[] = "/tmp/filters-XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    MUST(fd >= 0 && write(fd, "text", 4) == 4);
    INSTALL(f, 0);
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK("memory", p != MAP_FAILED && (p[4096] = 1) == 1);
    CHECK("of a file", (p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0)) != MAP_FAILED && p[0] == 't');
    CHECK_ERRNO("of a bad file", (intptr_t)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 999, 0), EBADF);
    for (int i = 0; i < 3; i++) {
        CHECK("of a file in a fixed place",
              mmap(p, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == p && p[0] == 't');
        CHECK_ERRNO(
            "both, of a file",
            (intptr_t)mmap(p, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0),
            EPERM);
    }
    CHECK_ERRNO(
        "both",
        (intptr_t)mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
        EPERM);
    CHECK_ERRNO("both, later", mprotect(p, 4096, PROT_WRITE | PROT_EXEC), EPERM);
    CHECK("one", mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0 && munmap(p, 4096) == 0);
}

static volatile sig_atomic_t trapped, alarms;
static volatile long trapped_nr;

static void on_sigsys(int signo, siginfo_t *si, void *context)
{
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    (void)signo;
    trapped++;
    trapped_nr = si->si_syscall;
    if ((greg_t)(uintptr_t)si->si_call_addr != r[REG_RIP] || r[REG_RAX] != si->si_syscall)
        trapped = 1000;
    r[REG_RAX] = 55;
}

/* As sandboxes do that answer calls themselves. */
static void emulated(void)
{
    struct sock_filter f[] = {LOAD(nr), IF_CALL(SYS_sched_yield, SECCOMP_RET_TRAP | 9),
                              IF_CALL(SYS_madvise, SECCOMP_RET_TRAP),
                              IF_CALL(SYS_sigaltstack, SECCOMP_RET_TRAP), RET(SECCOMP_RET_ALLOW)};
    struct sigaction sa = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &sa, NULL);
    INSTALL(f, 0);
    CHECK("a native one", syscall(SYS_sched_yield) == 55 && trapped == 1 && trapped_nr == SYS_sched_yield);
    CHECK("another", syscall(SYS_madvise, 0, 0, 0) == 55 && trapped == 2 && trapped_nr == SYS_madvise);
    CHECK("one of registers",
          syscall(SYS_sigaltstack, 0, 0) == 55 && trapped == 3 && trapped_nr == SYS_sigaltstack);
}

static atomic_int word;

static void *waker(void *arg)
{
    (void)arg;
    nap_ms(30);
    word = 1;
    syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0);
    return NULL;
}

static void on_alarm(int signo)
{
    (void)signo;
    alarms++;
}

/* Waits are judged, and interrupted as ever. */
static void waits(void)
{
    struct sock_filter f[] = {LOAD(nr),
                              BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 3),
                              LOAD(args[2]),
                              BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 4711, 0, 1),
                              RET(SECCOMP_RET_ERRNO | EDOM),
                              RET(SECCOMP_RET_ALLOW)};
    struct timespec short_one = {.tv_nsec = 20000000}, long_one = {.tv_sec = 1000};
    struct sigaction sa = {.sa_handler = on_alarm};
    pthread_mutex_t m;
    pthread_mutexattr_t a;
    pthread_t t;
    INSTALL(f, 0);
    CHECK_ERRNO("refused", syscall(SYS_futex, &word, FUTEX_WAIT, 4711, NULL, NULL, 0), EDOM);
    CHECK_ERRNO("another value", syscall(SYS_futex, &word, FUTEX_WAIT, 5, NULL, NULL, 0), EAGAIN);
    CHECK_ERRNO("a bad address", syscall(SYS_futex, bad_address, FUTEX_WAIT, 5, NULL, NULL, 0), EFAULT);
    CHECK_ERRNO("time is up", syscall(SYS_futex, &word, FUTEX_WAIT, 0, &short_one, NULL, 0), ETIMEDOUT);
    MUST(pthread_create(&t, NULL, waker, NULL) == 0);
    while (word == 0)
        syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
    CHECK("woken", pthread_join(t, NULL) == 0);
    word = 0;
    sigaction(SIGALRM, &sa, NULL);
    alarms_begin(30);
    CHECK_ERRNO("interrupted", alarms_end(syscall(SYS_futex, &word, FUTEX_WAIT, 0, &long_one, NULL, 0)),
                EINTR);
    int before = alarms;
    alarms_begin(30);
    CHECK_ERRNO("interrupted without an end",
                alarms_end(syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0)), EINTR);
    CHECK("by the signals", before > 0 && alarms > before);
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&m, &a);
    CHECK("priority inheritance", pthread_mutex_lock(&m) == 0 && pthread_mutex_unlock(&m) == 0);
}

static void *yields(void *arg)
{
    pthread_barrier_wait(arg);
    pthread_barrier_wait(arg);
    return (void *)(intptr_t)(sched_yield() == -1 ? errno : 0);
}

static void threads(void)
{
    struct sock_filter f[] = {LOAD(nr), IF_CALL(SYS_sched_yield, SECCOMP_RET_ERRNO | EDOM),
                              RET(SECCOMP_RET_ALLOW)};
    pthread_barrier_t b;
    pthread_t t;
    void *r;
    pthread_barrier_init(&b, NULL, 2);
    pthread_create(&t, NULL, yields, &b);
    pthread_barrier_wait(&b);
    INSTALL(f, SECCOMP_FILTER_FLAG_TSYNC);
    pthread_barrier_wait(&b);
    pthread_join(t, &r);
    CHECK("one that was there", (intptr_t)r == EDOM);
    pthread_create(&t, NULL, yields, &b);
    pthread_barrier_wait(&b);
    pthread_barrier_wait(&b);
    pthread_join(t, &r);
    CHECK("one that came later", (intptr_t)r == EDOM);
}

static void more_and_more(void)
{
    struct sock_filter first[] = {LOAD(nr), IF_CALL(SYS_sched_yield, SECCOMP_RET_ERRNO | EDOM),
                                  RET(SECCOMP_RET_ALLOW)};
    struct sock_filter second[] = {LOAD(nr), IF_CALL(SYS_madvise, SECCOMP_RET_ERRNO | ENODEV),
                                   IF_CALL(SYS_sched_yield, SECCOMP_RET_TRAP), RET(SECCOMP_RET_ALLOW)};
    struct sigaction sa = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &sa, NULL);
    INSTALL(first, 0);
    CHECK_ERRNO("the first", sched_yield(), EDOM);
    INSTALL(second, 0);
    CHECK("the stricter", syscall(SYS_sched_yield) == 55);
    CHECK_ERRNO("the second", madvise(NULL, 0, 0), ENODEV);
}

static void after_exec(void)
{
    struct sock_filter f[] = {LOAD(nr), IF_CALL(SYS_sched_yield, SECCOMP_RET_ERRNO | EDOM),
                              RET(SECCOMP_RET_ALLOW)};
    INSTALL(f, 0);
    execl("/proc/self/exe", "x", "yield", NULL);
    _exit(1);
}

static void killed_by_yield(void)
{
    struct sock_filter f[] = {LOAD(nr), IF_CALL(SYS_sched_yield, SECCOMP_RET_KILL_PROCESS),
                              RET(SECCOMP_RET_ALLOW)};
    INSTALL(f, 0);
    sched_yield();
}

static void strict_map(void)
{
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    syscall(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void strict_exit(void)
{
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    syscall(SYS_exit, 6);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "yield") == 0)
        return sched_yield() == -1 && errno == EDOM ? 9 : 1;
    in_child(refused);
    in_child(no_write_and_execute);
    in_child(emulated);
    in_child(waits);
    in_child(threads);
    in_child(more_and_more);
    int st = in_child(after_exec);
    CHECK("a new program", WIFEXITED(st) && WEXITSTATUS(st) == 9);
    st = in_child(killed_by_yield);
    CHECK("killed", WIFSIGNALED(st) && WTERMSIG(st) == SIGSYS);
    st = in_child(strict_map);
    CHECK("strict", WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL);
    st = in_child(strict_exit);
    CHECK("strict exit", WIFEXITED(st) && WEXITSTATUS(st) == 6);
    return check_done();
}
